"""Export: parity in the manifest, the same digest twice, and refusals that are told apart."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from contracts.bundle import RANKER, open_bundle
from contracts.errors import BundleRefused, ExportRefused, Unacceptable
from contracts.features import RANKER_INPUTS
from export.export import checked, export_bundle, load_ranker
from export.golden import ranker_cases
from export.graphs import Wanted, write_graph
from launch.cli import run
from tests.trained import Trained
from training.config import RANKER_WEIGHTS, load_checkpoint
from training.model import Ranker

WANTED = Wanted(RANKER, RANKER_INPUTS, ("logits",))


def test_parity_is_written_and_small(trained: Trained) -> None:
    parities = trained.bundle.manifest.parity
    assert {parity.file for parity in parities} == {"item_encoder.onnx", "retriever.onnx", "ranker.onnx"}
    assert all(parity.max_abs_difference < 1e-4 for parity in parities)
    assert all(parity.rank_correlation > 0.9999 for parity in parities)
    assert all(parity.top10_kept > 0.999 for parity in parities)


def test_twice_is_the_same_bundle(trained: Trained, tmp_path: Path) -> None:
    assert export_bundle(trained.checkpoint, tmp_path / "again", "tiny").digest == trained.bundle.digest


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


def test_a_wrong_export_is_refused(trained: Trained, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(trained.checkpoint)
    ranker = load_ranker(trained.checkpoint, checkpoint)
    dim = checkpoint.text_dim + checkpoint.plan.ranker.delta_dim
    cases = ranker_cases(dim, checkpoint.plan.ranker.history_limit)
    write_graph(Wrong(ranker).eval(), WANTED, cases[0], tmp_path)
    with pytest.raises(ExportRefused, match=r"ranker\.onnx differs from PyTorch by up to 0\.01"):
        checked(ranker, WANTED, cases, tmp_path)


def test_a_pickle_is_refused(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(trained.checkpoint, folder)
    weights = folder / RANKER_WEIGHTS
    weights.rename(folder / "ranker.pt")
    with pytest.raises(Unacceptable, match="pickles"):
        export_bundle(folder, tmp_path / "out")
    (folder / "ranker.pt").rename(weights)
    (folder / "encoder/model.safetensors").rename(folder / "encoder/pytorch_model.bin")
    with pytest.raises(Unacceptable, match="Convert it where you trust it"):
        export_bundle(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


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
