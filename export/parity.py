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
    """What is asked: a difference of at most, a rank correlation and a share of the top 10 of at least.

    ``worst_top10_kept``: of the case that keeps least, so that a large batch does not hide a small one.
    """

    difference: float
    rank_correlation: float
    top10_kept: float
    worst_top10_kept: float


GATES = {
    Precision.FP32: Gate(1e-3, 0.999, 0.99, 0.95),
    Precision.FP16: Gate(0.05, 0.99, 0.98, 0.9),
    Precision.INT8: Gate(1.0, 0.9, 0.9, 0.8),
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
    """What the graph lacks, in words, and all of its figures; empty where it passes. NaN never passes."""
    p, worst = parity, 1.0 if parity.worst_top10_kept is None else parity.worst_top10_kept
    asked = (
        (p.max_abs_difference <= p.tolerance,
         f"differs from PyTorch by up to {p.max_abs_difference:.2g}; at most {p.tolerance:g} is allowed"),
        (p.rank_correlation >= p.least_rank_correlation,
         f"orders a list otherwise than PyTorch; a rank correlation of at least {p.least_rank_correlation:g} is asked"),
        (p.top10_kept >= p.least_top10_kept,
         f"keeps {p.top10_kept:.1%} of PyTorch's top 10; at least {p.least_top10_kept:.0%} is asked"),
        (worst >= p.least_worst_top10_kept,
         f"keeps {worst:.1%} of PyTorch's top 10 in one case; at least {p.least_worst_top10_kept:.0%} is asked"),
    )  # fmt: skip
    lacking = [words for passed, words in asked if not passed]
    return f"{', and '.join(lacking)} ({figures(parity)})" if lacking else ""


def figures(parity: Parity) -> str:
    """All that was measured, in words."""
    worst = "" if parity.worst_top10_kept is None else f", in the worst case {parity.worst_top10_kept:.1%}"
    return (
        f"at most {parity.max_abs_difference:.1e} from PyTorch, rank correlation {parity.rank_correlation:.4f}, "
        f"top 10 kept {parity.top10_kept:.1%}{worst}"
    )


def compare(planned: Planned, folder: Path, precision: Precision) -> Parity:
    """Over all cases: the worst difference and rank correlation; the share of the top 10 kept, on average and worst."""
    file = variant_name(planned.wanted.file, precision)
    session = open_session(folder / file)
    found = [_agreed(planned, session, case) for case in planned.cases]
    correlations = [one for case in found for one in case.correlations]
    kept = [one for case in found for one in case.kept]
    gate = GATES[precision]
    return Parity(
        file=file, precision=precision, max_abs_difference=float(np.max([case.difference for case in found])),
        rank_correlation=float(np.min(correlations or [1.0])), top10_kept=float(np.mean(kept or [1.0])),
        worst_top10_kept=float(np.min([np.mean(case.kept or [1.0]) for case in found])),
        tolerance=gate.difference, least_rank_correlation=gate.rank_correlation, least_top10_kept=gate.top10_kept,
        least_worst_top10_kept=gate.worst_top10_kept,
    )  # fmt: skip


class _Agreed(NamedTuple):
    """One case: the greatest difference; a rank correlation and a share of the top 10 for each of its lists."""

    difference: float
    correlations: list[float]
    kept: list[float]


def _agreed(planned: Planned, session: ort.InferenceSession, case: Case) -> _Agreed:
    truth, got = _torch(planned.module, case), _onnx(session, planned.wanted, case)
    pairs = list(zip(_lists(planned.wanted, truth), _lists(planned.wanted, got), strict=True))
    return _Agreed(
        float(np.abs(truth - got).max()),  # NaN stays NaN, here and in the maximum of all cases
        [_rank_correlation(ours, theirs) for ours, theirs in pairs],
        [_top_kept(ours, theirs) for ours, theirs in pairs],
    )


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
