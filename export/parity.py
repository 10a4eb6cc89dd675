"""ONNX Runtime against PyTorch, in numbers: the greatest difference, and whether the order stays."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.bundle import Parity
from export.golden import Cases
from export.graphs import Wanted

TOP = 10


def compare(module: nn.Module, path: Path, wanted: Wanted, cases: Cases, tolerance: float) -> Parity:
    """Over all cases: the worst difference, the worst rank correlation, the mean share of the top 10 kept."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    difference, correlations, kept = 0.0, [1.0], [1.0]
    for case in cases:
        truth, got = _torch(module, case), _onnx(session, wanted, case)
        worst = float(np.abs(truth - got).max())
        difference = worst if not worst <= difference else difference
        for ours, theirs in zip(_lists(truth), _lists(got), strict=True):
            correlations.append(_rank_correlation(ours, theirs))
            kept.append(_top_kept(ours, theirs))
    return Parity(
        file=wanted.file, max_abs_difference=difference, rank_correlation=float(min(correlations)),
        top10_kept=float(np.mean(kept)), tolerance=tolerance,
    )  # fmt: skip


def _torch(module: nn.Module, case: tuple[Tensor, ...]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.asarray(module(*case).numpy())


def _onnx(session: ort.InferenceSession, wanted: Wanted, case: tuple[Tensor, ...]) -> NDArray[np.float32]:
    inputs = dict(zip(wanted.inputs, (tensor.numpy() for tensor in case), strict=True))
    return np.asarray(session.run(None, inputs)[0])


def _lists(scores: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Every list of scores that orders something: a column of logits, or a whole vector."""
    if scores.ndim == 3:
        return [
            scores[b, :, h] for b in range(scores.shape[0]) for h in range(scores.shape[2]) if scores.shape[1] > TOP
        ]
    return list(scores)


def _rank_correlation(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Spearman's rho; equal values share their mean rank, values nearer than float noise count as equal."""
    left, right = (_ranks(np.round(values, 4)) for values in (ours, theirs))
    if left.std() == 0 or right.std() == 0:
        return 1.0 if left.std() == right.std() else 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[inverse])


def _top_kept(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    left, right = (set(np.argsort(-values, kind="stable")[:TOP].tolist()) for values in (ours, theirs))
    return len(left & right) / max(1, len(left))
