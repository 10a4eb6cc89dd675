"""Bound buffers: what serves on a GPU, here with a CPU's memory and models that were really exported."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest
from tiny_bundle import tiny_bundle
from tiny_shop import ask, engine_with, item, profile_after, teach, view

from contracts.bundle import RANKER, RETRIEVER, Bundle
from contracts.errors import ModelUnavailable
from contracts.features import FEATURES, HISTORY_INPUTS, RANKER_INPUTS
from contracts.precision import Precision
from contracts.settings import EngineSettings, ModelSettings, Provider
from contracts.surfaces import HOME
from inference.bound import Bound
from inference.encoder import Encoder
from inference.padding import pad, shapes
from inference.serving import load
from inference.session import PROVIDERS, Model, products_elsewhere
from tests.trained import Trained

MOST = {"shoppers": 20, "history": 20, "candidates": 100}
SIZES = [(1, 1, 100), (9, 20, 100), (1, 3, 7), (20, 20, 100), (3, 20, 64), (1, 1, 100)]

Inputs = dict[str, np.ndarray]


def recommender_inputs(dim: int, shoppers: int, history: int, candidates: int, seed: int = 0) -> Inputs:
    rng = np.random.default_rng(seed)
    return {
        "history_vectors": rng.normal(size=(shoppers, history, dim)).astype(np.float32),
        "history_kinds": rng.integers(0, 5, (shoppers, history)),
        "history_gaps": rng.integers(0, 32, (shoppers, history)),
        "candidate_vectors": rng.normal(size=(shoppers, candidates, dim)).astype(np.float32),
        "candidate_features": rng.random((shoppers, candidates, len(FEATURES)), np.float32),
    }


@pytest.fixture(scope="module")
def session(trained: Trained) -> ort.InferenceSession:
    return ort.InferenceSession(trained.bundle.read(RANKER))


@pytest.fixture(scope="module")
def inputs_of(trained: Trained) -> Callable[..., Inputs]:
    return lambda *sizes, seed=0: recommender_inputs(trained.bundle.manifest.vector_dim, *sizes, seed=seed)


@pytest.fixture
def bound(session: ort.InferenceSession) -> Bound:
    return Bound(session, "logits", "cpu", MOST)


def same(found: np.ndarray, session: ort.InferenceSession, inputs: Inputs) -> None:
    np.testing.assert_allclose(found, session.run(["logits"], inputs)[0], rtol=1e-4, atol=1e-4)


def test_shapes_in_turn_have_the_answers_that_they_have_unbound(bound, session, inputs_of):
    answers = [(bound.run(inputs), inputs) for inputs in (inputs_of(*sizes, seed=n) for n, sizes in enumerate(SIZES))]
    for found, inputs in answers:  # after all of them: a later forward leaves an earlier answer alone
        same(found, session, inputs)
    assert bound.kept_shapes == 4


def test_the_callers_arrays_are_left_alone(bound, inputs_of):
    """Of a shape that needs no padding as well, where a CPU's buffers could be the caller's own memory."""
    first, second = inputs_of(8, 20, 100, seed=1), inputs_of(8, 20, 100, seed=2)
    before = {name: array.copy() for name, array in first.items()}
    bound.run(first)
    bound.run(second)
    for name, array in before.items():
        np.testing.assert_array_equal(first[name], array)


def test_threads_at_once_have_each_its_own_answer(bound, session, inputs_of):
    given = [inputs_of(1 + seed % 3, 20, 100, seed=seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        for found, inputs in zip(pool.map(bound.run, given), given, strict=True):
            same(found, session, inputs)
    assert bound.kept_shapes == 1


def test_after_all_shapes_were_met_no_other_comes(bound, inputs_of):
    for sizes in shapes(MOST):
        bound.run(inputs_of(*sizes.values()))
    warm, rng = bound.kept_shapes, np.random.default_rng(0)
    for _ in range(30):
        bound.run(inputs_of(*(int(rng.integers(1, most + 1)) for most in MOST.values())))
    assert bound.kept_shapes == warm == 6


def test_what_was_used_longest_ago_is_given_back(session, inputs_of):
    small, middle, large = (inputs_of(*sizes) for sizes in ((1, 1, 1), (9, 1, 1), (17, 1, 1)))
    take = [sum(array.nbytes for array in pad(inputs, MOST).values()) for inputs in (small, middle, large)]
    bound = Bound(session, "logits", "cpu", MOST, kept=take[0] + take[2])
    for inputs in (small, middle, small, large):
        same(bound.run(inputs), session, inputs)
    assert bound.kept_bytes == take[0] + take[2]
    same(bound.run(middle), session, middle)
    assert bound.kept_bytes == take[1]


def test_one_shape_beyond_all_that_is_kept_is_served_too(session, inputs_of):
    bound = Bound(session, "logits", "cpu", MOST, kept=1)
    for sizes in SIZES:
        same(bound.run(inputs_of(*sizes)), session, inputs_of(*sizes))
        assert bound.kept_shapes == 1


@pytest.mark.parametrize("name", HISTORY_INPUTS)
def test_a_forward_that_fails_is_an_error_of_ours_and_the_next_one_does_not(trained, inputs_of, name):
    """Numbers of another kind or shape, though as many bytes: they must not be read as what they are not."""
    bundle = trained.bundle
    model = Model(bundle, RETRIEVER, HISTORY_INPUTS, "query", ModelSettings(), device="cpu")
    right = inputs_of(8, 20, 1)
    expected = model.run(right)
    other = np.float64 if right[name].dtype == np.float32 else np.uint64
    for wrong in (right[name].astype(other), right[name][:, :, None], right[name][:1], right[name][0]):
        with pytest.raises(ModelUnavailable, match=RETRIEVER):
            model.run({**right, name: wrong})
        np.testing.assert_array_equal(model.run(right), expected)
    assert model.bound
    assert model.bound.kept_shapes == 1


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_a_model_bound_to_a_device_answers_what_it_answers_unbound(trained, inputs_of, precision):
    """fp16 too is given fp32 and gives it."""
    settings, given = ModelSettings(precision=precision), inputs_of(5, 7, 33)
    every = ((RANKER, RANKER_INPUTS, "logits"), (RETRIEVER, HISTORY_INPUTS, "query"))
    for file, names, output in every:
        plain = Model(trained.bundle, file, names, output, settings)
        other = Model(trained.bundle, file, names, output, settings, device="cpu", limits={"candidates": 100})
        assert plain.bound is None
        assert other.run(given).dtype == np.float32
        near = 1e-4 if precision is Precision.FP32 else 2e-2
        np.testing.assert_allclose(other.run(given), plain.run(given), rtol=near, atol=near)


def test_texts_have_the_same_vectors(trained):
    texts = ["Trail running shoe", "", "红色连衣裙", "a lamp " * 99, *(f"tea {n}" for n in range(20))]
    plain, other = Encoder(trained.bundle, ModelSettings()), Encoder(trained.bundle, ModelSettings(), "cpu")
    other.warm()
    np.testing.assert_allclose(other.encode(texts), plain.encode(texts), atol=1e-5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


def test_slates_are_those_of_an_unbound_engine_and_no_shopper_is_the_first(tiny):
    """Every shape that shoppers bring was met while the bundle was loaded."""
    stock = [item(number) for number in range(150)]
    engine = engine_with(tiny, stock)
    teach(engine, [[f"i{(s * 5 + k * k) % 150}" for k in range(8)] for s in range(30)])
    people = [profile_after([view(n) for n in range(at, 2 * at)], f"u{at}") for at in range(40)]
    batches = [[ask(profile, f"e{n}") for profile in people[:n]] for n in (1, 7, 8, 9, 40)]
    plain = [engine.recommend(batch) for batch in batches]

    serving = load(tiny, EngineSettings(), ModelSettings(), device="cpu")
    engine.swap(serving, engine.embed(stock))
    bound = serving.pipelines[HOME].scorer._model.bound
    warm = bound.kept_shapes
    for batch, expected in zip(batches, plain, strict=True):
        found = engine.recommend(batch)
        for one, other in zip(found, expected, strict=True):
            assert [each.item_id for each in one.items] == [each.item_id for each in other.items]
            assert [e.score for e in one.items] == pytest.approx([e.score for e in other.items], abs=1e-4)
            assert one.degraded is None
    assert bound.kept_shapes == warm == 28


def test_matrix_products_left_to_another_provider_are_found(trained):
    """ONNX Runtime hands what a provider lacks to the CPU and says nothing: here everything, if CUDA is asked for."""
    model = Model(trained.bundle, RANKER, RANKER_INPUTS, "logits", ModelSettings())
    assert products_elsewhere(model._session, PROVIDERS[Provider.CPU]) == []
    assert {"MatMul"} <= set(products_elsewhere(model._session, PROVIDERS[Provider.CUDA])) <= {"MatMul", "Gemm"}
    int8 = Model(trained.bundle, "item_encoder.onnx", ("input_ids", "attention_mask"), "vectors",
                 ModelSettings(precision=Precision.INT8))  # fmt: skip
    assert "MatMulInteger" in products_elsewhere(int8._session, PROVIDERS[Provider.CUDA])
