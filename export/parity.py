"""ONNX Runtime against PyTorch, in numbers: the greatest difference, and whether the order stays.

What is ordered is what serving orders: candidates by each of their logits; texts by each score of a head; items by
their dot product with the retriever's query; texts by their likeness to each other. Each precision has a gate of its
own: fp32 must be equal, fp16 and int8 may differ in numbers that nobody sees, but not in the order.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contracts.bundle import Parity
from contracts.errors import ExportRefused
from contracts.precision import Precision, variant_name
from export.golden import Case, Cases, probes
from export.graphs import Wanted

HEAD_OUTPUTS = ("scores",)
TOP = 10
NOISE = 1e-5

Array = NDArray[np.float32]


class Gate(NamedTuple):
    """What is asked: a difference of at most, a rank correlation and a share of the top 10 of at least."""

    difference: float
    rank_correlation: float
    top10_kept: float


GATES = {
    Precision.FP32: Gate(1e-3, 0.999, 0.99),
    Precision.FP16: Gate(0.05, 0.99, 0.98),
    Precision.INT8: Gate(1.0, 0.9, 0.9),
}


class Planned(NamedTuple):
    """A graph to be written: what it is called, the module it comes from, the cases it must agree on."""

    wanted: Wanted
    module: nn.Module
    cases: Cases


def checked(planned: Planned, folder: Path) -> Parity:
    """The parity of a written fp32 graph. Raises: ExportRefused."""
    parity = compare(planned, folder, Precision.FP32)
    lacking = shortfall(parity)
    if lacking:
        raise ExportRefused(f"{planned.wanted.file} {lacking}")
    return parity


def shortfall(parity: Parity) -> str:
    """What the graph lacks, in words; empty where it passes. NaN never passes."""
    order = (parity.rank_correlation, parity.top10_kept)
    least = (parity.least_rank_correlation, parity.least_top10_kept)
    if parity.max_abs_difference <= parity.tolerance and all(o >= m for o, m in zip(order, least, strict=True)):
        return ""
    return (
        f"differs from PyTorch by up to {parity.max_abs_difference:.2g}; at most {parity.tolerance:g} is allowed "
        f"(rank correlation {order[0]:.4f}, at least {least[0]:g}; top 10 kept {order[1]:.1%}, at least {least[1]:.0%})"
    )


def compare(planned: Planned, folder: Path, precision: Precision) -> Parity:
    """Over all cases: the worst difference, the worst rank correlation, the mean share of the top 10 kept."""
    file = variant_name(planned.wanted.file, precision)
    session = open_session(folder / file)
    difference, correlations, kept = 0.0, [1.0], [1.0]
    for case in planned.cases:
        truth, got = _torch(planned.module, case), _onnx(session, planned.wanted, case)
        worst = float(np.abs(truth - got).max())
        difference = worst if not worst <= difference else difference
        for ours, theirs in zip(_lists(planned.wanted, truth), _lists(planned.wanted, got), strict=True):
            correlations.append(_rank_correlation(ours, theirs))
            kept.append(_top_kept(ours, theirs))
    gate = GATES[precision]
    return Parity(
        file=file, precision=precision, max_abs_difference=difference, rank_correlation=float(min(correlations)),
        top10_kept=float(np.mean(kept)), tolerance=gate.difference, least_rank_correlation=gate.rank_correlation,
        least_top10_kept=gate.top10_kept,
    )  # fmt: skip


def open_session(path: Path) -> ort.InferenceSession:
    """On the CPU, one thread: the reference."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def feeds(wanted: Wanted, case: Case) -> dict[str, NDArray[np.generic]]:
    """A case by the names of the inputs."""
    return dict(zip(wanted.inputs, (tensor.numpy() for tensor in case), strict=True))


def _torch(module: nn.Module, case: tuple[Tensor, ...]) -> Array:
    with torch.no_grad():
        return np.asarray(module(*case).numpy())


def _onnx(session: ort.InferenceSession, wanted: Wanted, case: Case) -> Array:
    return np.asarray(session.run(None, feeds(wanted, case))[0])


def _lists(wanted: Wanted, found: Array) -> list[Array]:
    """Every list of scores that orders something, where it is longer than what is kept of it."""
    if found.ndim == 3:
        return [column for slate in found for column in slate.T] if found.shape[1] > TOP else []
    if wanted.outputs == HEAD_OUTPUTS:
        return list(found.T) if len(found) > TOP + 1 else []
    if wanted.outputs == ("query",):
        return list(found @ probes(found.shape[1]).T)
    unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    return [np.delete(row, own) for own, row in enumerate(unit @ unit.T)] if len(found) > TOP + 1 else []


def _rank_correlation(ours: Array, theirs: Array) -> float:
    """Spearman's rho; equal values share their mean rank, values nearer than float noise count as equal."""
    left, right = (_ranks(np.round(values, 4)) for values in (ours, theirs))
    if left.std() == 0 or right.std() == 0:
        return 1.0 if left.std() == right.std() else 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: Array) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[inverse])


def _top_kept(ours: Array, theirs: Array) -> float:
    """The share of their best that are among our best; what is as good as our last one is (float noise) counts too."""
    least = np.sort(ours)[-TOP:][0] - NOISE
    return float(np.mean(ours[np.argsort(-theirs, kind="stable")[:TOP]] >= least))
