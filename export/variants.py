"""A graph in fp16 and in int8, as files beside the one in fp32, each with a gate of its own.

fp16 is a format for GPUs: inputs and outputs stay fp32, a CPU is no faster with it. int8 quantizes the weights of
matrix products by output channel once, and their inputs at each run by the greatest number in them (ONNX Runtime's
dynamic quantization): a score then depends a little on who else is in the batch. Weights have 7 bits: of 8, a CPU
without VNNI adds two products in 16, where they do not fit, and answers something else.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from contracts.bundle import Graph, Parity
from contracts.precision import Precision, variant_name
from export.graphs import plain, write_graph
from export.parity import Planned, checked, compare, feeds, figures, open_session, shortfall
from training.telling import Say

ROUNDS = 5
PAYS = 0.95  # of the time in fp32; less than a twentieth is noise


def write_planned(
    planned: Planned, folder: Path, variants: Sequence[Precision], say: Say, keep_slow: bool = False
) -> tuple[Graph, tuple[Parity, ...]]:
    """Write a graph and its variants, and prove each. Raises: ExportRefused, where fp32 is not PyTorch's answer.

    A variant that fails its gate is left out, and so is int8 where it is no faster on this machine, unless
    ``keep_slow``; either is said. fp16 is not for CPUs, so a CPU's time says nothing of it.
    """
    file = planned.wanted.file
    say(f"exporting {file}")
    graph = write_graph(planned.module, planned.wanted, planned.cases[0], folder)
    parity = checked(planned, folder)
    say(f"{file}: {figures(parity)}")
    wanted = [precision for precision in Precision if precision in variants]  # one order, so that there is one digest
    proved = [_variant(planned, folder, precision, say, keep_slow) for precision in wanted]
    return graph, (parity, *(found for found in proved if found))


def _variant(planned: Planned, folder: Path, precision: Precision, say: Say, keep_slow: bool) -> Parity | None:
    file = write_variant(folder, planned.wanted.file, precision)
    parity = compare(planned, folder, precision)
    times = _times(planned, folder, file)
    slow = "" if precision is Precision.FP16 or times.pays else f"does not pay on this CPU: {times}"
    lacking = shortfall(parity) or ("" if keep_slow else slow and f"{slow} (--keep-slow keeps it)")
    if lacking:
        (folder / file).unlink()
        say(f"{file}: LEFT OUT, it {lacking}; serving uses {planned.wanted.file} for it")
        return None
    say(f"{file}: {figures(parity)}; {slow or times}")
    return parity


def write_variant(folder: Path, file: str, precision: Precision) -> str:
    """Convert a written fp32 graph; the new file's name."""
    convert = {Precision.FP16: _fp16, Precision.INT8: _int8}[precision]
    model = plain(convert(onnx.load_model(folder / file)))
    name = variant_name(file, precision)
    (folder / name).write_bytes(model.SerializeToString(deterministic=True))
    return name


def _fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    converted: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    return converted


def _int8(model: onnx.ModelProto) -> onnx.ModelProto:
    _unshare(model.graph)
    del model.graph.value_info[:]  # the exporter's shapes are not the quantizer's
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})  # or it warns that they lack
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            model, path, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8,
            reduce_range=True, nodes_to_exclude=_last_products(model.graph),
        )  # fmt: skip
        return onnx.load_model(path)


def _unshare(graph: onnx.GraphProto) -> None:
    """A weight of its own for each product: the quantizer transposes it where it lies, once for each that reads it."""
    weights, seen = {weight.name: weight for weight in graph.initializer}, set()
    for node in graph.node:
        name = node.input[1] if node.op_type in ("MatMul", "Gemm") else ""
        if name in seen:
            node.input[1] = f"{name}/{node.name}"
            copy = graph.initializer.add()
            copy.CopyFrom(weights[name])
            copy.name = node.input[1]
        seen |= {name} & weights.keys()


def _last_products(graph: onnx.GraphProto) -> list[str]:
    """The products whose sum is the output: quantized, they would move every score by a constant."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting, found = [output.name for output in graph.output], []
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type in ("MatMul", "Gemm"):
            found.append(node.name)
        elif node is not None and node.op_type == "Add":
            waiting.extend(node.input)
    return found


class Times(NamedTuple):
    """Milliseconds of one batch on one thread of this machine."""

    fp32: float
    own: float

    @property
    def pays(self) -> bool:
        """Whether it is faster by more than noise."""
        return self.own < PAYS * self.fp32

    def __str__(self) -> str:
        return f"{self.own:.1f} ms a batch where fp32 takes {self.fp32:.1f}"


def _times(planned: Planned, folder: Path, file: str) -> Times:
    """The largest case, the fastest of some rounds after one to warm up; by turns, so that both meet the same load."""
    inputs = feeds(planned.wanted, max(planned.cases, key=lambda case: sum(tensor.numel() for tensor in case)))
    sessions = [open_session(folder / name) for name in (planned.wanted.file, file)]
    rounds = [[_milliseconds(session, inputs) for session in sessions] for _ in range(ROUNDS + 1)]
    return Times(*map(min, zip(*rounds[1:], strict=True)))


def _milliseconds(session: ort.InferenceSession, inputs: dict[str, NDArray[np.generic]]) -> float:
    started = time.perf_counter()
    session.run(None, inputs)
    return 1000 * (time.perf_counter() - started)
