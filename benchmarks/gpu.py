"""Ranking on a GPU: ``python -m benchmarks.gpu``. Not measured yet: no machine that this project was built on has one.

The ranker in fp16 on the CUDA provider, asserted: without a GPU it says so and exits 1, and nothing falls back to the
CPU. Batches come in a few padded shapes, so that warming up meets them all. A run is what serving does: inputs from
the host into bound device memory, one forward, the logits back. Beside it: the share of what the GPU's own matrix
product (fp16, 4096 cubed) reaches, and how far the logits are from the CPU's in fp32.
"""

import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

CUDA = "CUDAExecutionProvider"
BATCHES = (1, 8, 32, 128)
CANDIDATES = 100
RUNS = 300
EDGE = 4096

Feeds = dict[str, np.ndarray]


class NoGpu(Exception):
    """There is none, or ONNX Runtime does not use it."""


def on_gpu(model: bytes) -> ort.InferenceSession:
    """A session whose first provider is CUDA. Raises: NoGpu."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    with warnings.catch_warnings(action="ignore"):
        session = ort.InferenceSession(model, options, providers=[CUDA])
    if session.get_providers()[0] != CUDA:
        raise NoGpu(
            f"the model would run on {session.get_providers()[0]}: this needs a GPU, its driver and daogou[gpu]"
        )
    return session


def product() -> bytes:
    """One matrix product in fp16."""
    faces = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, [EDGE, EDGE]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", faces[:2], faces[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


class Bound:
    """A session with its inputs and its output in device memory."""

    def __init__(self, session: ort.InferenceSession, given: Feeds) -> None:
        self._session, self._given, self._binding = session, given, session.io_binding()
        self._inputs = {name: ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0) for name, array in given.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_output(session.get_outputs()[0].name, "cuda")

    def forward(self) -> None:
        """On what lies in device memory already."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def serve(self) -> np.ndarray:
        """From the host and back to it."""
        for name, array in self._given.items():
            self._inputs[name].update_inplace(array)
        self.forward()
        return np.asarray(self._binding.copy_outputs_to_cpu()[0])


def seconds(run: Any, times: int) -> np.ndarray:
    """Of each of so many runs."""
    found = np.zeros(times)
    for i in range(times):
        started = time.perf_counter()
        run()
        found[i] = time.perf_counter() - started
    return found


def peak() -> float:
    """FLOP/s of the matrix product; its median."""
    ones = np.ones((EDGE, EDGE), np.float16)
    bound = Bound(on_gpu(product()), {"a": ones, "b": ones})
    seconds(bound.forward, 10)
    return float(2 * EDGE**3 / np.median(seconds(bound.forward, 50)))


def row(bound: Bound, truth: np.ndarray, batch: int, flops: int, best: float) -> dict[str, float]:
    """One batch size's figures."""
    seconds(bound.serve, 20)
    times = seconds(bound.serve, RUNS)
    logits = bound.serve()
    tops = [[set(np.argsort(-slate[:, 0])[:10].tolist()) for slate in found] for found in (truth, logits)]
    return {
        "batch": batch,
        "slates_per_second": round(batch * RUNS / float(times.sum()), 1),
        "p99_ms": round(1000 * float(np.quantile(times, 0.99)), 3),
        "share_of_peak": round(batch * flops * RUNS / float(times.sum()) / best, 5),
        "max_abs_difference": float(np.abs(truth - logits).max()),
        "top10_kept": float(np.mean([len(a & b) / 10 for a, b in zip(*tops, strict=True)])),
    }


def measure() -> dict[str, Any]:
    """The small preset's ranker, in fp32 on the CPU and in fp16 on the GPU."""
    from benchmarks.products import products
    from benchmarks.ranking import HISTORY, feeds, vector_dim, write_ranker
    from contracts.precision import Precision
    from export.variants import write_variant
    from training.config import PRESETS

    best, size = peak(), PRESETS["small"].ranker
    flops = sum(one.flops for one in products(size, vector_dim(size), HISTORY, CANDIDATES))
    given = {batch: feeds(size, batch, CANDIDATES) for batch in BATCHES}
    with TemporaryDirectory() as folder:
        path = write_ranker(size, Path(folder))
        half = (Path(folder) / write_variant(Path(folder), path.name, Precision.FP16)).read_bytes()
        cpu = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    started = time.perf_counter()
    session = on_gpu(half)
    bounds = {batch: Bound(session, given[batch]) for batch in BATCHES}
    for bound in bounds.values():
        bound.serve()
    warm = time.perf_counter() - started
    rows = [row(bounds[b], np.asarray(cpu.run(None, given[b])[0]), b, flops, best) for b in BATCHES]
    return {"peak_tflops": round(best / 1e12, 1), "warm_up_seconds": round(warm, 2), "batches": rows}


def main() -> int:
    """Measure and write ``docs/benchmarks/gpu.json``; 1 where there is no GPU."""
    from benchmarks.report import save

    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    try:
        on_gpu(product())
    except NoGpu as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(save("gpu", measure()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
