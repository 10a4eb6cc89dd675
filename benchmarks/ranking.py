"""What ranking costs: ``python -m benchmarks.ranking``.

One shopper's 500 candidates are one forward on one thread; beside it, round by round, the bare matrix products of the
same shapes. Then slates of 100 candidates in batches, one session shared by as many callers as there are cores.
Models of random weights, exported as any: the time does not depend on what was learned.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
import torch
import typer

from benchmarks.products import Floor, products
from benchmarks.report import RESULTS, save
from contracts.bundle import RANKER, RETRIEVER
from contracts.features import FEATURES, HISTORY_INPUTS, RANKER_INPUTS
from export.golden import ranker_cases, retriever_cases
from export.graphs import Wanted, write_graph
from export.parity import open_session
from training.config import PRESETS, EncoderSize, RankerSize
from training.model import Ranker, Retriever

DIMS = (32, 64, 128)
LAYERS = (1, 2, 3)
HISTORY, CANDIDATES = 50, 500
SERVED = 100
BATCHES = (1, 4, 16, 64)
CALLERS = 2
ROUNDS = 40
SECONDS = 3.0
TARGET = 1.5

Feeds = dict[str, np.ndarray]


class Cost(NamedTuple):
    """One model's forward, beside its products; milliseconds are medians, and so is the ratio."""

    dim: int
    layers: int
    gflop: float
    milliseconds: float
    floor_milliseconds: float
    ratio: float


class Rate(NamedTuple):
    """Slates per second of all callers together."""

    batch: int
    slates_per_second: float


def size_of(dim: int, layers: int) -> RankerSize:
    return RankerSize(dim=dim, layers=layers, feature_dim=min(32, dim // 2))


def vector_dim(size: RankerSize) -> int:
    return EncoderSize().dim + size.delta_dim


def ranker_of(size: RankerSize) -> Ranker:
    """A ranker of that size. All its weights differ, or equal products would be merged."""
    torch.manual_seed(0)
    ranker = Ranker(size, vector_dim(size)).eval()
    for parameter in ranker.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return ranker


def write_ranker(size: RankerSize, folder: Path) -> Path:
    """The ranker of that size, exported into the folder."""
    case = ranker_cases(vector_dim(size), size.history_limit)[0]
    write_graph(ranker_of(size), Wanted(RANKER, RANKER_INPUTS, ("logits",)), case, folder)
    return folder / RANKER


def write_retriever(size: RankerSize, folder: Path) -> Path:
    """What makes the same ranker's queries."""
    case = retriever_cases(vector_dim(size), size.history_limit)[0]
    write_graph(Retriever(ranker_of(size)).eval(), Wanted(RETRIEVER, HISTORY_INPUTS, ("query",)), case, folder)
    return folder / RETRIEVER


def session_of(size: RankerSize) -> ort.InferenceSession:
    """The ranker of that size on one thread, as serving loads it."""
    with TemporaryDirectory() as folder:
        return open_session(write_ranker(size, Path(folder)))


def feeds(dim: int, batch: int, candidates: int, history: int = HISTORY) -> Feeds:
    """Random inputs of a ranker that reads vectors of ``dim`` numbers, by name."""
    rng = np.random.default_rng(0)
    return {
        "history_vectors": rng.normal(0, 0.1, (batch, history, dim)).astype(np.float32),
        "history_kinds": rng.integers(1, 5, (batch, history)),
        "history_gaps": rng.integers(0, 32, (batch, history)),
        "candidate_vectors": rng.normal(0, 0.1, (batch, candidates, dim)).astype(np.float32),
        "candidate_features": rng.random((batch, candidates, len(FEATURES)), np.float32),
    }


def cost(size: RankerSize) -> Cost:
    """Forward and products in turn, so that whatever else the machine does slows both."""
    wanted = products(size, vector_dim(size), HISTORY, CANDIDATES)
    session, floor, given = session_of(size), Floor(wanted), feeds(vector_dim(size), 1, CANDIDATES)
    pairs = [(milliseconds(lambda: session.run(None, given)), milliseconds(floor.run)) for _ in range(ROUNDS)]
    own, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    flops = sum(one.flops for one in wanted)
    return Cost(size.dim, size.layers, round(flops / 1e9, 3), round(own, 3), round(bare, 3), round(ratio, 2))


def milliseconds(run: Callable[[], Any], times: int = 5) -> float:
    """Of one run, the mean of several after one to warm up."""
    run()
    started = time.perf_counter()
    for _ in range(times):
        run()
    return 1000 * (time.perf_counter() - started) / times


def rate(session: ort.InferenceSession, size: RankerSize, batch: int) -> Rate:
    """All callers for some seconds, each with a batch of its own."""
    given = feeds(vector_dim(size), batch, SERVED)
    session.run(None, given)
    started = time.perf_counter()

    def calls() -> int:
        done = 0
        while time.perf_counter() - started < SECONDS:
            session.run(None, given)
            done += batch
        return done

    with ThreadPoolExecutor(CALLERS) as pool:
        slates = sum(future.result() for future in [pool.submit(calls) for _ in range(CALLERS)])
    return Rate(batch, round(slates / (time.perf_counter() - started), 1))


def run() -> dict[str, Any]:
    small = PRESETS["small"].ranker
    costs = []
    for layers in LAYERS:
        for dim in DIMS:
            costs.append(cost(size_of(dim, layers)))
            print("  ".join(f"{name} {value:>7}" for name, value in costs[-1]._asdict().items()), flush=True)
    session = session_of(small)
    rates = [rate(session, small, batch) for batch in BATCHES]
    print("\n".join(f"batches of {r.batch:>3}: {r.slates_per_second:,.0f} slates/s" for r in rates))
    return {
        "history": HISTORY, "candidates": CANDIDATES, "vector_dim": vector_dim(small), "target_ratio": TARGET,
        "one_forward": [c._asdict() for c in costs], "preset": "small", "batch_candidates": SERVED,
        "callers": CALLERS, "batches": [r._asdict() for r in rates], "onnxruntime": ort.__version__,
    }  # fmt: skip


def draw(result: dict[str, Any], path: Path) -> None:
    """The curves as SVG, the same bytes for the same figures."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "daogou", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for layers in LAYERS:
        rows = [row for row in result["one_forward"] if row["layers"] == layers]
        dims = [row["dim"] for row in rows]
        (line,) = left.plot(dims, [r["milliseconds"] for r in rows], "o-", label=f"{layers} layers")
        left.plot(dims, [r["floor_milliseconds"] for r in rows], "x:", color=line.get_color())
        middle.plot(dims, [r["ratio"] for r in rows], "o-", color=line.get_color(), label=f"{layers} layers")
    middle.axhline(TARGET, color="grey", linestyle="--")
    right.plot([r["batch"] for r in result["batches"]], [r["slates_per_second"] for r in result["batches"]], "o-")
    left.set(title=f"{CANDIDATES} candidates, 1 thread", xlabel="dim", ylabel="ms (dotted: matrix products)")
    middle.set(title="time over its matrix products", xlabel="dim", ylim=(1, None))
    right.set(title=f"{SERVED} candidates, {CALLERS} cores", xlabel="slates a batch", ylabel="slates/s", ylim=(0, None))
    for axes in (left, middle):
        axes.set_xticks(DIMS)
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print, write ``docs/benchmarks/ranking.json`` and ``.svg``."""
    torch.set_num_threads(1)
    result = run()
    print(save("ranking", result))
    draw(result, RESULTS / "ranking.svg")


if __name__ == "__main__":
    typer.run(main)
