"""What ONNX Runtime may load, and what is refused and why."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from tiny_bundle import TEXT_DIM, tiny_bundle

from contracts.bundle import ITEM_DELTAS, ITEM_ENCODER, RANKER, RETRIEVER, Bundle, entries, open_bundle, write_manifest
from contracts.errors import BundleRefused, EnvironmentRefused, ModelUnavailable
from contracts.features import HISTORY_INPUTS
from contracts.metrics import Metrics
from contracts.settings import EngineSettings, ModelSettings, Provider
from inference.encoder import Encoder
from inference.engine import Engine
from inference.session import Model, check_runtime


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "bundle", deltas={"i1": 0.1})


def resealed(bundle: Bundle, **changes) -> Bundle:
    """The bundle after its files were changed by somebody who can write manifests."""
    names = tuple(entry.name for entry in bundle.manifest.files)
    return write_manifest(bundle.folder, replace(bundle.manifest, files=entries(bundle.folder, names), **changes))


def load(bundle: Bundle) -> Engine:
    return Engine(bundle, EngineSettings(), ModelSettings())


def test_the_provider_that_runs_is_told(bundle):
    metrics = Metrics()
    Engine(bundle, EngineSettings(), ModelSettings(), metrics)
    labels = {"provider": "CPUExecutionProvider"}
    assert metrics.registry.get_sample_value("daogou_provider_info", labels) == 1


def test_a_file_that_changed_since_it_was_verified_is_refused(bundle):
    path = bundle.folder / RANKER
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleRefused, match=r"ranker.onnx is not the file"):
        load(bundle)


def test_what_is_no_model_is_refused(bundle):
    (bundle.folder / RANKER).write_bytes(b"no model")
    with pytest.raises(BundleRefused, match=r"ranker.onnx is no model that ONNX Runtime can load"):
        load(resealed(bundle))


def test_a_model_with_other_inputs_is_refused(bundle):
    (bundle.folder / RANKER).write_bytes((bundle.folder / RETRIEVER).read_bytes())
    with pytest.raises(BundleRefused, match=r"ranker.onnx takes .*; it must take candidate_.* anew, then export"):
        load(resealed(bundle))


def test_a_model_for_vectors_of_another_length_is_refused(bundle):
    with pytest.raises(BundleRefused, match=r"does not take what the manifest says|where the manifest says"):
        load(resealed(bundle, text_dim=TEXT_DIM + 4))


def test_weights_outside_of_the_file_are_refused(bundle):
    path = bundle.folder / RANKER
    model = onnx.load(path)
    onnx.save_model(
        model, path, save_as_external_data=True, all_tensors_to_one_file=True, location="w.bin", size_threshold=0
    )
    (bundle.folder / "w.bin").unlink()
    with pytest.raises(BundleRefused, match=r"ranker.onnx"):
        load(resealed(bundle))


def test_deltas_that_are_no_safetensors_are_refused(bundle):
    (bundle.folder / ITEM_DELTAS).write_bytes(b"x" * 100)
    with pytest.raises(BundleRefused, match=r"items.safetensors cannot be read"):
        load(resealed(bundle))


def test_deltas_of_another_length_are_refused(bundle):
    with pytest.raises(BundleRefused):
        load(resealed(bundle, delta_dim=3, text_dim=TEXT_DIM + 1))


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_cuda_is_asserted_where_there_is_none(bundle):
    with pytest.raises(EnvironmentRefused, match="should run on CUDAExecutionProvider but runs on CPU"):
        Engine(bundle, EngineSettings(), ModelSettings(provider=Provider.CUDA))


@pytest.mark.parametrize("installed", [(), ("onnxruntime 1", "onnxruntime-gpu 1")])
def test_none_or_both_of_the_runtimes_are_refused(installed):
    with pytest.raises(EnvironmentRefused, match="exactly one of onnxruntime and onnxruntime-gpu"):
        check_runtime(installed)


def test_the_runtime_of_this_environment_is_named():
    assert check_runtime().startswith("onnxruntime")


def test_a_forward_that_fails_is_an_error_of_ours(bundle):
    model = Model(bundle, RETRIEVER, HISTORY_INPUTS, "query", ModelSettings())
    wrong = {name: np.zeros((1, 2, 3), np.float32) for name in HISTORY_INPUTS}
    with pytest.raises(ModelUnavailable, match=RETRIEVER):
        model.run(wrong)


def test_texts_become_unit_vectors_whoever_is_beside_them(bundle):
    encoder = Encoder(open_bundle(bundle.folder), ModelSettings())
    texts = ["green tea", "a shoe", "tea " * 200, "", "\u2603", *(f"lamp {n}" for n in range(40))]
    vectors = encoder.encode(texts)
    assert vectors.shape == (45, TEXT_DIM)
    assert np.linalg.norm(np.delete(vectors, 3, axis=0), axis=1) == pytest.approx(np.ones(44), abs=1e-5)
    assert not vectors[3].any()
    np.testing.assert_allclose(encoder.encode(texts[1:2])[0], vectors[1], atol=1e-6)


def test_like_texts_are_near(bundle):
    tea, more_tea, shoe = Encoder(bundle, ModelSettings()).encode(["green tea", "tea cup", "trail shoe"])
    assert tea @ more_tea > tea @ shoe


def test_the_encoder_is_checked_as_well(bundle):
    (bundle.folder / ITEM_ENCODER).write_bytes((bundle.folder / RETRIEVER).read_bytes())
    with pytest.raises(BundleRefused, match=r"item_encoder.onnx takes"):
        load(resealed(bundle))
