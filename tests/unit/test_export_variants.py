"""Variants: each passes a gate of its own or is left out, and serving runs the one that the settings name."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from msgspec.structs import replace
from onnx import numpy_helper
from tiny_bundle import tiny_bundle

from contracts.bundle import ITEM_ENCODER, RANKER, RETRIEVER, Bundle, entries, open_bundle, write_manifest
from contracts.errors import BundleRefused
from contracts.features import FEATURES, HEADS, RANKER_INPUTS
from contracts.precision import Precision, variant_name
from contracts.settings import EngineSettings, ModelSettings, load_settings
from export import variants
from export.export import load_ranker
from export.golden import ENCODER_INPUTS, encoder_cases, ranker_cases
from export.graphs import Wanted
from export.parity import GATES, Planned, compare, shortfall
from export.variants import write_planned, write_variant
from inference.encoder import Encoder
from inference.serving import load
from launch.cli import run
from tests.trained import VARIANTS, Trained
from training.config import ENCODER_FOLDER, load_checkpoint
from training.encoder import load_encoder

WANTED = Wanted(RANKER, RANKER_INPUTS, ("logits",))


def test_the_proof_of_every_variant_is_in_the_manifest(trained: Trained) -> None:
    """With what was asked of it; fp16 of all graphs, int8 at least of the encoder, where the work is."""
    manifest = trained.bundle.manifest
    found = {parity.file: parity for parity in manifest.parity}
    files = {entry.name for entry in manifest.files}
    assert set(found) <= files
    assert {variant_name(file, Precision.FP16) for file in (ITEM_ENCODER, RETRIEVER, RANKER)} <= files
    assert variant_name(ITEM_ENCODER, Precision.INT8) in files
    assert not any(shortfall(parity) for parity in found.values())
    for parity in found.values():
        gate = GATES[parity.precision]
        asked = parity.tolerance, parity.least_rank_correlation, parity.least_top10_kept, parity.least_worst_top10_kept
        assert asked == gate
        assert parity.file == variant_name(parity.file.split(".")[0] + ".onnx", parity.precision)
    assert trained.bundle.precisions == frozenset(Precision)


@pytest.mark.parametrize("precision", VARIANTS)
def test_serving_runs_the_precision_that_the_settings_name(trained: Trained, precision: Precision) -> None:
    texts = ["Trail running shoe", "红色连衣裙", "a lamp for the desk"]
    plain = Encoder(trained.bundle, ModelSettings()).encode(texts)
    other = Encoder(trained.bundle, ModelSettings(precision=precision)).encode(texts)
    assert not np.array_equal(plain, other)
    assert (plain * other).sum(axis=1).min() > 0.99
    load(trained.bundle, EngineSettings(), ModelSettings(precision=precision))


def test_a_precision_that_the_bundle_lacks_is_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    with pytest.raises(BundleRefused, match=r"has no graph in int8: export it again with --variants int8"):
        load(bundle, EngineSettings(), ModelSettings(precision=Precision.INT8))


def with_encoder_in_int8(bundle: Bundle) -> Bundle:
    """As export leaves it where the other two graphs fail their gates."""
    (bundle.folder / "item_encoder.int8.onnx").write_bytes(bundle.read(ITEM_ENCODER))
    names = ("item_encoder.int8.onnx", *(entry.name for entry in bundle.manifest.files))
    return write_manifest(bundle.folder, replace(bundle.manifest, files=entries(bundle.folder, names)))


def test_a_graph_that_was_left_out_is_served_in_fp32(tmp_path: Path) -> None:
    bundle = with_encoder_in_int8(tiny_bundle(tmp_path / "bundle"))
    assert bundle.precisions == {Precision.FP32, Precision.INT8}
    assert bundle.variant(ITEM_ENCODER, Precision.INT8) == "item_encoder.int8.onnx"
    assert bundle.variant(RANKER, Precision.INT8) == RANKER
    load(bundle, EngineSettings(), ModelSettings(precision=Precision.INT8))


class Coarse(torch.nn.Module):
    """Its first product sees one number that is ten thousand times the others, and makes nothing of it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Linear(dim + len(FEATURES), 16), torch.nn.Linear(16, len(HEADS))
        with torch.no_grad():
            self.first.weight[:, dim] = 0.0

    def forward(
        self, vectors: torch.Tensor, kinds: torch.Tensor, gaps: torch.Tensor, candidates: torch.Tensor,
        features: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        unused = vectors.sum((1, 2)) + kinds.sum(1) + gaps.sum(1)
        seen = torch.cat([candidates, features * torch.tensor([1e4] + [1.0] * (len(FEATURES) - 1))], -1)
        answer: torch.Tensor = self.last(torch.tanh(self.first(seen))) + 0.0 * unused[:, None, None]
        return answer


def test_a_variant_that_loses_the_order_is_left_out_and_so_it_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    planned = Planned(WANTED, Coarse(8).eval(), ranker_cases(8, 12))
    _, parities = write_planned(planned, tmp_path, (Precision.INT8,), said.append)
    assert [parity.precision for parity in parities] == [Precision.FP32]
    assert {path.name for path in tmp_path.iterdir()} == {RANKER}
    assert re.match(r"ranker\.int8\.onnx: LEFT OUT, it (differs|orders|keeps)", said[-1])


class Light(torch.nn.Module):
    """A product that hardly counts, so that no variant loses the order."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.column = torch.nn.Linear(dim, 1)

    def forward(
        self, vectors: torch.Tensor, kinds: torch.Tensor, gaps: torch.Tensor, candidates: torch.Tensor,
        features: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        unused = vectors.sum((1, 2)) + kinds.sum(1) + gaps.sum(1)
        return features[..., : len(HEADS)] + 1e-4 * torch.tanh(self.column(candidates)) + 0.0 * unused[:, None, None]


class Twice(Light):
    """One weight in two products, as a block's is that reads histories and candidates."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.square = torch.nn.Linear(dim, dim)
        self.back = torch.nn.Linear(dim, 2 * dim)

    def forward(
        self, vectors: torch.Tensor, kinds: torch.Tensor, gaps: torch.Tensor, candidates: torch.Tensor,
        features: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        rows = candidates.flatten(0, 1)
        wide = torch.relu(self.back(rows)) + torch.relu(self.back(torch.tanh(self.square(rows))))
        found: torch.Tensor = super().forward(vectors, kinds, gaps, candidates, features)
        return found + 1e-4 * wide.sum(-1).view(candidates.shape[0], -1, 1)


def test_a_weight_that_two_products_share_is_quantized_for_each(tmp_path: Path) -> None:
    """The quantizer transposed it twice: no int8 of a ranker with two layers could be made."""
    planned = Planned(WANTED, Twice(8).eval(), ranker_cases(8, 12))
    _, parities = write_planned(planned, tmp_path, (Precision.INT8,), lambda _: None, keep_slow=True)
    assert [parity.precision for parity in parities] == [Precision.FP32, Precision.INT8]
    model = onnx.load_model(tmp_path / "ranker.int8.onnx")
    weights = [numpy_helper.to_array(w) for w in model.graph.initializer if w.data_type == onnx.TensorProto.INT8]
    assert len([w for w in weights if w.ndim == 2]) >= 3
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 64, "7 bits: all CPUs answer the same"


@pytest.mark.parametrize(
    ("share", "keep_slow", "found"),
    [(0.0, False, "LEFT OUT, it does not pay"), (0.0, True, "at most"), (1e9, False, "at most")],
)
def test_int8_that_does_not_pay_is_left_out_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, keep_slow: bool, found: str
) -> None:
    """With a share of fp32's time that nothing takes less than, and with one that everything does."""
    monkeypatch.setattr(variants, "PAYS", share)
    said: list[str] = []
    planned = Planned(WANTED, Light(8).eval(), ranker_cases(8, 12))
    _, parities = write_planned(planned, tmp_path, VARIANTS, said.append, keep_slow)
    kept = found == "at most"
    assert [parity.precision for parity in parities] == list(Precision)[: 3 if kept else 2]
    assert (tmp_path / "ranker.int8.onnx").exists() == kept
    assert said[-1].startswith(f"ranker.int8.onnx: {found}")
    assert re.search(r"[\d.]+ ms a batch where fp32 takes [\d.]+", said[-1])
    assert ("does not pay on this CPU" in said[-1]) == (share == 0.0)


def test_the_order_in_which_variants_are_named_changes_nothing(trained: Trained, tmp_path: Path) -> None:
    encoder, tokenizer = load_encoder(trained.checkpoint / ENCODER_FOLDER, 32)
    planned = Planned(Wanted(ITEM_ENCODER, ENCODER_INPUTS, ("vectors",)), encoder, encoder_cases(tokenizer))
    _, parities = write_planned(planned, tmp_path, (*VARIANTS[::-1], *VARIANTS), lambda _: None, True)
    assert [parity.precision for parity in parities] == list(Precision)


def test_a_wrong_variant_does_not_pass(trained: Trained, tmp_path: Path) -> None:
    """The rows of the matrices in another order: every number is plausible, the order is not."""
    checkpoint = load_checkpoint(trained.checkpoint)
    cases = ranker_cases(checkpoint.text_dim + checkpoint.plan.ranker.delta_dim, 12)
    planned = Planned(WANTED, load_ranker(trained.checkpoint, checkpoint), cases)
    (tmp_path / RANKER).write_bytes(trained.bundle.read(RANKER))
    path = tmp_path / write_variant(tmp_path, RANKER, Precision.FP16)
    assert not shortfall(compare(planned, tmp_path, Precision.FP16))
    model = onnx.load_model(path)
    for weights in model.graph.initializer:
        found = numpy_helper.to_array(weights)
        if found.ndim == 2:
            weights.CopyFrom(numpy_helper.from_array(np.flip(found, 0).copy(), weights.name))
    onnx.save_model(model, path)
    assert "rank correlation" in shortfall(compare(planned, tmp_path, Precision.FP16))


def test_nan_never_passes(trained: Trained) -> None:
    parity = trained.bundle.manifest.parity[0]
    assert not shortfall(parity)
    for name in ("max_abs_difference", "rank_correlation", "top10_kept", "worst_top10_kept"):
        assert shortfall(replace(parity, **{name: float("nan")}))


def test_the_setting_is_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAOGOU_MODEL__PRECISION", "int8")
    assert load_settings().model.precision is Precision.INT8


def test_an_unknown_variant_is_a_wrong_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "nowhere", "--variants", "int4"]) == 2
    assert "int4" in capsys.readouterr().err


def test_a_bundle_from_before_there_were_variants_opens(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    assert b"precision" not in (bundle.folder / "manifest.json").read_bytes()
    assert open_bundle(bundle.folder).precisions == {Precision.FP32}
