"""Export: parity in the manifest, the same digest twice, and refusals that are told apart."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from msgspec.structs import replace
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from contracts.bundle import RANKER, open_bundle
from contracts.errors import BundleRefused, ExportRefused, Unacceptable
from contracts.features import RANKER_INPUTS
from contracts.precision import Precision
from export.export import export_bundle, load_ranker
from export.golden import ranker_cases, shapes
from export.graphs import OPSET, Wanted, write_graph
from export.parity import TOP, Planned, checked, compare, shortfall
from launch.cli import run
from tests.trained import VARIANTS, Trained
from training.config import ARCHITECTURE, CONFIG, RANKER_WEIGHTS, load_checkpoint
from training.model import Ranker

WANTED = Wanted(RANKER, RANKER_INPUTS, ("logits",))


def test_parity_is_written_and_small(trained: Trained) -> None:
    parities = [parity for parity in trained.bundle.manifest.parity if parity.precision is Precision.FP32]
    assert {parity.file for parity in parities} == {"item_encoder.onnx", "retriever.onnx", "ranker.onnx"}
    assert all(parity.max_abs_difference < 1e-4 for parity in parities)
    assert all(parity.rank_correlation > 0.9999 for parity in parities)
    assert all(parity.top10_kept > 0.999 for parity in parities)


def test_twice_is_the_same_bundle(trained: Trained, tmp_path: Path) -> None:
    """With its variants; and by way of the command line."""
    words = ["export", str(trained.checkpoint), "--out", str(tmp_path / "again"), "--name", "tiny", "--keep-slow"]
    assert run([*words, "--variants", ",".join(variant.value for variant in VARIANTS)]) == 0
    assert open_bundle(tmp_path / "again").digest == trained.bundle.digest


def test_the_manifest_says_what_varies_and_what_made_it(trained: Trained) -> None:
    graphs = {graph.file: graph for graph in trained.bundle.manifest.graphs}
    axes = {tensor.name: tensor.axes[:2] for tensor in graphs[RANKER].inputs}
    assert axes == {
        "history_vectors": ("shoppers", "history"), "history_kinds": ("shoppers", "history"),
        "history_gaps": ("shoppers", "history"), "candidate_vectors": ("shoppers", "candidates"),
        "candidate_features": ("shoppers", "candidates"),
    }  # fmt: skip
    assert {graph.opset for graph in graphs.values()} == {OPSET}
    assert {"torch", "onnx", "onnxruntime"} <= {made.library for made in trained.bundle.manifest.versions}


def test_nothing_of_this_machine_is_inside(trained: Trained) -> None:
    here = str(Path(__file__).parents[2]).encode()
    assert not [
        p.name for p in trained.bundle.folder.iterdir() if here in p.read_bytes() or b"site-packages" in p.read_bytes()
    ]


class Wrong(torch.nn.Module):
    """Answers what the ranker does, but for one candidate."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(
        self, vectors: torch.Tensor, kinds: torch.Tensor, gaps: torch.Tensor, candidates: torch.Tensor,
        features: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        logits: torch.Tensor = self.ranker(vectors, kinds, gaps, candidates, features)
        return logits + (torch.arange(logits.shape[1]) == 0)[None, :, None] * 0.01


class OneCaseWrong(torch.nn.Module):
    """Answers what the ranker does, but for histories of one event."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(self, vectors: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.ranker(vectors, *others)
        return -logits if vectors.shape[1] == 1 else logits


def test_a_wrong_export_is_refused(trained: Trained, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(trained.checkpoint)
    ranker = load_ranker(trained.checkpoint, checkpoint)
    dim = checkpoint.text_dim + checkpoint.plan.ranker.delta_dim
    cases = ranker_cases(dim, checkpoint.plan.ranker.history_limit)
    write_graph(Wrong(ranker).eval(), WANTED, cases[0], tmp_path)
    with pytest.raises(ExportRefused, match=r"ranker\.onnx differs from PyTorch by up to 0\.01"):
        checked(Planned(WANTED, ranker, cases), tmp_path)


def test_the_command_refuses_a_graph_that_disagrees(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights a million times as large: what float32 rounds, in another order in each runtime, is then seen."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(trained.checkpoint, folder)
    tensors = load_file(folder / RANKER_WEIGHTS)
    save_file({**tensors, "ranker.straight.weight": tensors["ranker.straight.weight"] * 1e6}, folder / RANKER_WEIGHTS)
    assert run(["export", str(folder), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert re.match(r"daogou: ranker\.onnx differs from PyTorch by up to .*; at most 0\.001 is allowed", said.err)
    assert len(said.err.splitlines()) == 1
    assert "retriever.onnx: at most" in said.out, "the graphs before it were right"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def perturbed(model: onnx.ModelProto) -> None:
    """The largest matrix of weights, a little off."""
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = numpy_helper.to_array(weights)
    noise = np.random.default_rng(0).normal(0, 0.05, values.shape).astype(np.float32)
    weights.CopyFrom(numpy_helper.from_array(values + noise, weights.name))


def bent(model: onnx.ModelProto) -> None:
    """Another activation than the one that was trained."""
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Elu"


@pytest.mark.parametrize("wrong", [perturbed, bent])
def test_a_file_that_was_changed_after_it_was_written_is_refused(
    trained: Trained, tmp_path: Path, wrong: Callable[[onnx.ModelProto], None]
) -> None:
    checkpoint = load_checkpoint(trained.checkpoint)
    cases = ranker_cases(checkpoint.text_dim + checkpoint.plan.ranker.delta_dim, 12)
    ranker = load_ranker(trained.checkpoint, checkpoint)
    model = onnx.load_model_from_string(trained.bundle.read(RANKER))
    onnx.save_model(model, tmp_path / RANKER)
    checked(Planned(WANTED, ranker, cases), tmp_path)
    wrong(model)
    onnx.save_model(model, tmp_path / RANKER)
    with pytest.raises(ExportRefused, match=r"ranker\.onnx differs from PyTorch"):
        checked(Planned(WANTED, ranker, cases), tmp_path)


def test_a_history_of_one_is_ordered_too() -> None:
    """Every case with a choice has more candidates than the top 10 that is compared."""
    assert not [shape for shape in shapes(20) if 1 < shape.candidates <= TOP]
    assert any(shape.history == 1 and shape.candidates > TOP for shape in shapes(20))


def test_one_case_that_loses_its_top_10_is_refused(trained: Trained, tmp_path: Path) -> None:
    """Few lists among hundreds: the mean hardly sees them."""
    checkpoint = load_checkpoint(trained.checkpoint)
    ranker = load_ranker(trained.checkpoint, checkpoint)
    cases = ranker_cases(checkpoint.text_dim + checkpoint.plan.ranker.delta_dim, checkpoint.plan.ranker.history_limit)
    planned = Planned(WANTED, OneCaseWrong(ranker).eval(), cases)
    (tmp_path / RANKER).write_bytes(trained.bundle.read(RANKER))
    parity = compare(planned, tmp_path, Precision.FP32)
    assert parity.worst_top10_kept is not None
    assert parity.worst_top10_kept < 0.5
    assert parity.top10_kept > 0.9
    small = replace(parity, max_abs_difference=0.0, rank_correlation=1.0, top10_kept=1.0)
    assert shortfall(small).startswith(f"keeps {parity.worst_top10_kept:.1%} of PyTorch's top 10 in one case; at least")


@pytest.mark.parametrize(
    ("wrong", "first"),
    [
        ({"max_abs_difference": 0.5}, "differs from PyTorch by up to 0.5; at most 0.001 is allowed (at most"),
        ({"rank_correlation": 0.5}, "orders a list otherwise than PyTorch; a rank correlation of at least 0.999"),
        ({"top10_kept": 0.5}, "keeps 50.0% of PyTorch's top 10; at least 99% is asked (at most"),
        ({"worst_top10_kept": 0.5}, "keeps 50.0% of PyTorch's top 10 in one case; at least 95% is asked (at most"),
        ({"top10_kept": 0.5, "worst_top10_kept": 0.4}, "keeps 50.0% of PyTorch's top 10; at least 99% is asked, and k"),
    ],
)
def test_what_failed_is_named_first(trained: Trained, wrong: dict[str, float], first: str) -> None:
    parity = trained.bundle.manifest.parity[0]
    assert shortfall(parity) == shortfall(replace(parity, worst_top10_kept=None)) == ""
    assert shortfall(replace(parity, **wrong)).startswith(first)


def test_a_pickle_is_refused(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(trained.checkpoint, folder)
    weights = folder / RANKER_WEIGHTS
    weights.rename(folder / "ranker.pt")
    with pytest.raises(
        Unacceptable, match=r"no ranker\.safetensors; a pickle .* Convert it where you trust it: safetens"
    ):
        export_bundle(folder, tmp_path / "out")
    (folder / "ranker.pt").rename(weights)
    (folder / "encoder/model.safetensors").rename(folder / "encoder/pytorch_model.bin")
    with pytest.raises(Unacceptable, match="Convert it where you trust it"):
        export_bundle(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_older_model_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    shutil.copytree(trained.checkpoint, folder)
    path = folder / CONFIG
    path.write_text(path.read_text().replace(f'"architecture": {ARCHITECTURE}', '"architecture": 1'))
    with pytest.raises(Unacceptable, match=r"architecture 1, .* train it again"):
        export_bundle(folder, tmp_path / "out")


def test_tampering_is_found(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(trained.bundle.folder, folder)
    assert open_bundle(folder).digest == trained.bundle.digest
    content = bytearray((folder / RANKER).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / RANKER).write_bytes(content)
    with pytest.raises(BundleRefused, match=r"ranker\.onnx .*sha256"):
        open_bundle(folder)
    assert run(["bundle", "verify", str(folder)]) == 1
    assert "ranker.onnx" in capsys.readouterr().err


def test_candidates_are_isolated(trained: Trained) -> None:
    """Changing, permuting or adding other candidates changes a score by exactly nothing that matters."""
    session = ort.InferenceSession(trained.bundle.read(RANKER), providers=["CPUExecutionProvider"])
    checkpoint = load_checkpoint(trained.checkpoint)
    dim = checkpoint.text_dim + checkpoint.plan.ranker.delta_dim
    case = [tensor.numpy() for tensor in ranker_cases(dim, checkpoint.plan.ranker.history_limit)[3]]
    inputs = dict(zip(RANKER_INPUTS, case, strict=True))
    whole = session.run(None, inputs)[0]
    some = inputs | {name: inputs[name][:, 5:15] for name in ("candidate_vectors", "candidate_features")}
    np.testing.assert_allclose(session.run(None, some)[0], whole[:, 5:15], atol=2e-6)
    back = inputs | {name: inputs[name][:, ::-1].copy() for name in ("candidate_vectors", "candidate_features")}
    np.testing.assert_allclose(session.run(None, back)[0][:, ::-1], whole, atol=2e-6)


def test_padding_changes_nothing(trained: Trained) -> None:
    checkpoint = load_checkpoint(trained.checkpoint)
    ranker = load_ranker(trained.checkpoint, checkpoint)
    vectors, kinds, gaps, candidates, features = ranker_cases(
        checkpoint.text_dim + checkpoint.plan.ranker.delta_dim, 12
    )[0]
    padded = [torch.cat([torch.zeros_like(t[:, :4]), t], dim=1) for t in (vectors, kinds, gaps)]
    with torch.no_grad():
        plain = ranker(vectors, kinds, gaps, candidates, features)
        wide = ranker(*padded, candidates, features)
    assert torch.isfinite(plain).all()
    torch.testing.assert_close(plain, wide, atol=2e-6, rtol=1e-5)
