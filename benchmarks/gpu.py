"""Ranking and retrieval on a GPU: ``python -m benchmarks.gpu``. Not measured yet: no machine at hand has one.

The small preset's models on the CUDA provider, asserted: without a GPU it says so and exits 1, and nothing falls back
to the CPU. What runs is what serves (``inference/bound.py``): from the host, padded to one of few shapes, into bound
device memory, one forward, and back. Beside it: what meeting all shapes once takes, the share of what the GPU's own
matrix product (fp16, 4096 cubed) reaches, and how far the answers are from the CPU's in fp32.
"""

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from contracts.features import HISTORY_INPUTS, RANKER_INPUTS
from contracts.precision import Precision, variant_name
from inference.bound import Bound, Buffers
from inference.padding import Sizes, shapes

CPU = "CPUExecutionProvider"
MOST = {"shoppers": 512, "history": 50, "candidates": 100}  # what serving meets by default

Floats = np.ndarray[Any, np.dtype[np.float32]]
Feeds = dict[str, np.ndarray]


class NoGpu(Exception):
    """There is none, or ONNX Runtime does not use it."""


class Plan(NamedTuple):
    """Where to measure, and how long: so many ``runs`` of each batch, products of ``edge`` cubed."""

    provider: str = "CUDAExecutionProvider"
    device: str = "cuda"
    edge: int = 4096
    runs: int = 300
    batches: Sequence[int] = (1, 8, 32, 128, 512)
    most: Sizes = MOST


class Graph(NamedTuple):
    """A model in some precision, and the same in fp32; ``flops`` of one shopper. ``scores``: of an answer, [B, N]."""

    name: str
    precision: Precision
    model: bytes
    fp32: bytes
    inputs: Sequence[str]
    output: str
    dim: int
    flops: int
    scores: Callable[[Floats], Floats]

    def feeds(self, sizes: Sizes) -> Feeds:
        """Random inputs of these sizes."""
        from benchmarks.ranking import feeds

        every = feeds(self.dim, sizes["shoppers"], sizes["candidates"], sizes["history"])
        return {name: every[name] for name in self.inputs}


def session_on(provider: str, model: bytes) -> ort.InferenceSession:
    """A session whose first provider is that one. Raises: NoGpu."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    with warnings.catch_warnings(action="ignore"):
        session = ort.InferenceSession(model, options, providers=[provider])
    if session.get_providers()[0] != provider:
        raise NoGpu(
            f"the model would run on {session.get_providers()[0]}: this needs a GPU, its driver and daogou[gpu]"
        )
    return session


def product(edge: int) -> bytes:
    """One matrix product in fp16."""
    faces = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, [edge, edge]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", faces[:2], faces[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def seconds(run: Callable[[], Any], times: int) -> np.ndarray:
    """Of each of so many runs."""
    found = np.zeros(times)
    for i in range(times):
        started = time.perf_counter()
        run()
        found[i] = time.perf_counter() - started
    return found


def peak(plan: Plan) -> float:
    """FLOP/s of the matrix product on what lies in device memory already; its median."""
    ones = np.ones((plan.edge, plan.edge), np.float16)
    given = {"a": ones, "b": ones}
    buffers = Buffers(session_on(plan.provider, product(plan.edge)), "c", plan.device, given)
    buffers.fill(given)
    seconds(buffers.forward, 10)
    return float(2 * plan.edge**3 / np.median(seconds(buffers.forward, 50)))


def measured(graph: Graph, plan: Plan, best: float) -> dict[str, Any]:
    """One graph's warm-up and the figures of each batch."""
    every = [graph.feeds(sizes) for sizes in shapes(plan.most)]
    started = time.perf_counter()
    bound = Bound(session_on(plan.provider, graph.model), graph.output, plan.device, plan.most)
    for given in every:
        bound.run(given)
    warm = time.perf_counter() - started
    return {
        "model": graph.name, "precision": graph.precision.value, "warm_up_seconds": round(warm, 2),
        "shapes": bound.kept_shapes, "kept_mib": round(bound.kept_bytes / 2**20, 1),
        "batches": [batch(graph, bound, plan, shoppers, best) for shoppers in plan.batches],
    }  # fmt: skip


def batch(graph: Graph, bound: Bound, plan: Plan, shoppers: int, best: float) -> dict[str, float]:
    """From the host and back to it, for so many shoppers."""
    given = graph.feeds({**plan.most, "shoppers": shoppers})
    seconds(lambda: bound.run(given), 20)
    times = seconds(lambda: bound.run(given), plan.runs)
    rate = shoppers * plan.runs / float(times.sum())
    return {
        "batch": shoppers,
        "slates_per_second": round(rate, 1),
        "p99_ms": round(1000 * float(np.quantile(times, 0.99)), 3),
        "share_of_peak": round(rate * graph.flops / best, 5),
        **parity(graph, session_on(CPU, graph.fp32).run(None, given)[0], np.asarray(bound.run(given), np.float32)),
    }


def parity(graph: Graph, truth: Floats, found: Floats) -> dict[str, float]:
    """How far the answers are from the CPU's in fp32."""
    tops = [[set(np.argsort(-one)[:10].tolist()) for one in graph.scores(answer)] for answer in (truth, found)]
    return {
        "max_abs_difference": float(np.abs(truth - found).max()),
        "top10_kept": float(np.mean([len(a & b) / 10 for a, b in zip(*tops, strict=True)])),
    }


def graphs(folder: Path) -> list[Graph]:
    """The small preset's ranker and retriever in ``folder``, each in fp16 and fp32."""
    from benchmarks.products import products, query_products
    from benchmarks.ranking import vector_dim, write_ranker, write_retriever
    from export.golden import probes
    from export.variants import write_variant
    from training.config import PRESETS

    size = PRESETS["small"].ranker
    dim, history = vector_dim(size), MOST["history"]
    items = probes(dim).T
    ranked = sum(one.flops for one in products(size, dim, history, MOST["candidates"]))
    asked = sum(one.flops for one in query_products(size, dim, history))
    files = [path.name for path in (write_ranker(size, folder), write_retriever(size, folder))]
    for file in files:
        write_variant(folder, file, Precision.FP16)
    ranker, retriever = files
    return [
        made
        for precision in (Precision.FP16, Precision.FP32)
        for made in (
            Graph("ranker", precision, (folder / variant_name(ranker, precision)).read_bytes(),
                  (folder / ranker).read_bytes(), RANKER_INPUTS, "logits", dim, ranked, lambda found: found[..., 0]),
            Graph("retriever", precision, (folder / variant_name(retriever, precision)).read_bytes(),
                  (folder / retriever).read_bytes(), HISTORY_INPUTS, "query", dim, asked, lambda found: found @ items),
        )
    ]  # fmt: skip


def measure(given: Sequence[Graph], plan: Plan) -> dict[str, Any]:
    """All figures."""
    best = peak(plan)
    return {"peak_tflops": round(best / 1e12, 1), "models": [measured(graph, plan, best) for graph in given]}


def main() -> int:
    """Measure and write ``docs/benchmarks/gpu.json``; 1 where there is no GPU."""
    from benchmarks.report import save

    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    plan = Plan()
    try:
        session_on(plan.provider, product(plan.edge))
    except NoGpu as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    with TemporaryDirectory() as folder:
        print(save("gpu", measure(graphs(Path(folder)), plan)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
