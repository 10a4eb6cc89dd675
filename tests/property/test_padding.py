"""Padding changes no answer, and of all sizes it makes few shapes. On models that were really exported."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bundle import TEXT_DIM, tiny_bundle

from contracts.bundle import ITEM_ENCODER, RANKER, RETRIEVER, Bundle
from contracts.events import Kind
from contracts.features import GAP_BUCKETS, HISTORY_INPUTS, RANKER_INPUTS
from inference.padding import AXES, cut, pad, padded_size, shapes, sizes_of
from tests.trained import Trained

CANDIDATES = 100
AT_MOST = settings(deadline=None, max_examples=40)


class Loaded(NamedTuple):
    """A bundle's graphs as ONNX Runtime runs them, and what they may be given."""

    bundle: Bundle
    ranker: ort.InferenceSession
    retriever: ort.InferenceSession
    encoder: ort.InferenceSession

    @property
    def limits(self) -> dict[str, int]:
        manifest = self.bundle.manifest
        return {"history": manifest.history_limit, "candidates": CANDIDATES, "tokens": manifest.max_tokens}


@pytest.fixture(scope="module", params=["trained", "by hand"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    if request.param == "trained":
        trained: Trained = request.getfixturevalue("trained")
        bundle = trained.bundle
    else:
        bundle = tiny_bundle(tmp_path_factory.mktemp("bundle"), text_dim=TEXT_DIM)
    return Loaded(bundle, *(ort.InferenceSession(bundle.read(f)) for f in (RANKER, RETRIEVER, ITEM_ENCODER)))


def recommender_inputs(
    bundle: Bundle, shoppers: int, history: int, candidates: int, seed: int
) -> dict[str, np.ndarray]:
    """Shoppers whose histories are of all lengths, none at all among them."""
    rng, dim = np.random.default_rng(seed), bundle.manifest.vector_dim
    there = np.arange(history)[::-1] < rng.integers(0, history + 1, (shoppers, 1))
    return {
        "history_vectors": (rng.normal(size=(shoppers, history, dim)) * there[..., None]).astype(np.float32),
        "history_kinds": rng.integers(1, len(Kind), (shoppers, history)) * there,
        "history_gaps": rng.integers(0, GAP_BUCKETS, (shoppers, history)) * there,
        "candidate_vectors": rng.normal(size=(shoppers, candidates, dim)).astype(np.float32),
        "candidate_features": rng.random((shoppers, candidates, len(bundle.manifest.features)), np.float32),
    }


def text_inputs(texts: int, tokens: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = (np.arange(tokens) < rng.integers(1, tokens + 1, (texts, 1))).astype(np.int64)
    return {"input_ids": rng.integers(2, 60, (texts, tokens)) * mask, "attention_mask": mask}


def both(session: ort.InferenceSession, output: str, inputs: dict, limits: dict) -> Iterator[np.ndarray]:
    """What is answered as it is; all that is answered when padded; of that, what was asked for."""
    whole = session.run([output], pad(inputs, limits))[0]
    yield session.run([output], inputs)[0]
    yield whole
    yield cut(whole, output, sizes_of(inputs))


@AT_MOST
@given(shoppers=st.integers(1, 20), history=st.integers(1, 25), candidates=st.integers(1, 130), seed=st.integers(0, 99))
def test_slates_are_scored_as_without(loaded, shoppers, history, candidates, seed):
    """History and candidates beyond the limits are among them."""
    inputs = recommender_inputs(loaded.bundle, shoppers, history, candidates, seed)
    plain, whole, own = both(loaded.ranker, "logits", {name: inputs[name] for name in RANKER_INPUTS}, loaded.limits)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(own, plain, rtol=1e-4, atol=1e-4)
    plain, whole, own = both(loaded.retriever, "query", {name: inputs[name] for name in HISTORY_INPUTS}, loaded.limits)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(own, plain, rtol=1e-4, atol=1e-4)


@AT_MOST
@given(texts=st.integers(1, 20), share=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_texts_have_the_vectors_that_they_have_without(loaded, texts, share, seed):
    inputs = text_inputs(texts, max(1, round(share * loaded.limits["tokens"])), seed)
    plain, whole, own = both(loaded.encoder, "vectors", inputs, loaded.limits)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(own, plain, rtol=1e-4, atol=1e-5)


def test_a_model_is_never_given_more_than_it_takes(loaded):
    for axis in ("history", "candidates", "tokens"):
        limit = loaded.limits[axis]
        assert [padded_size(axis, size, loaded.limits) for size in (limit, limit + 1)] == [limit, limit + 1]
        assert max(padded_size(axis, size, loaded.limits) for size in range(1, limit + 1)) == limit


@given(
    most=st.fixed_dictionaries(dict.fromkeys(("shoppers", "history", "candidates"), st.integers(1, 600))),
    data=st.data(),
)
def test_few_shapes_are_met_and_all_of_them_are_known(most, data):
    """Whatever is asked within the limits; the number of shapes grows with the logarithm of the limits."""
    known = [tuple(sizes.values()) for sizes in shapes(most)]
    asked = {axis: data.draw(st.integers(1, limit)) for axis, limit in most.items()}
    assert tuple(padded_size(axis, size, most) for axis, size in asked.items()) in known
    assert all(padded_size(axis, size, most) >= size for axis, size in asked.items())
    assert len(known) == len(set(known)) <= 8 * 6 * 5


def test_what_serving_meets_by_default_is_28_shapes():
    most = {"shoppers": 512, "history": 50, "candidates": 100}
    met = [{padded_size(axis, size, most) for size in range(1, limit + 1)} for axis, limit in most.items()]
    assert met == [{8, 16, 32, 64, 128, 256, 512}, {32, 50}, {64, 100}]
    assert set(product(*met)) == {tuple(sizes.values()) for sizes in shapes(most)}


def test_what_is_added_is_padding_and_the_last_shopper_again():
    inputs = {
        "history_kinds": np.array([[1, 2], [3, 4]]),
        "candidate_features": np.ones((2, 1, 3), np.float32),
    }
    padded = pad(inputs, {"history": 4, "candidates": 2})
    assert padded["history_kinds"].tolist() == [[0, 0, 1, 2], *[[0, 0, 3, 4]] * 7]
    assert padded["candidate_features"].tolist() == [[[1.0] * 3, [0.0] * 3]] * 8
    assert {name: array.dtype for name, array in padded.items()} == {n: a.dtype for n, a in inputs.items()}


def test_nothing_stays_nothing():
    inputs = {"input_ids": np.zeros((0, 5), np.int64), "attention_mask": np.zeros((0, 5), np.int64)}
    padded = pad(inputs, {"tokens": 64})
    assert padded["input_ids"].shape == (8, 32)
    assert cut(np.ones((8, 16)), "vectors", sizes_of(inputs)).shape == (0, 16)


@pytest.mark.parametrize("wrong", [np.zeros((1, 5), np.int64), np.zeros(4, np.int64)], ids=["length", "axes"])
def test_inputs_that_do_not_fit_together_are_not_made_to(wrong):
    """NumPy would stretch them."""
    with pytest.raises(ValueError, match=r"attention_mask has|argument 2 is"):
        pad({"input_ids": np.zeros((4, 5), np.int64), "attention_mask": wrong}, {})


def test_every_input_of_every_graph_has_its_axes(loaded):
    graphs = loaded.bundle.manifest.graphs
    assert {tensor.name for graph in graphs for tensor in graph.inputs} <= set(AXES)
