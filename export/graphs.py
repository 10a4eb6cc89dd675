"""One module -> one ONNX file: dynamic axes, no external data, nothing in it that differs from day to day."""

from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn

from contracts.bundle import Graph
from contracts.bundle import Tensor as TensorEntry

OPSET = 20

#: The names of the axes that vary, by input; an input's other axes are fixed.
AXES: dict[str, dict[int, str]] = {
    "input_ids": {0: "texts", 1: "tokens"},
    "attention_mask": {0: "texts", 1: "tokens"},
    "gram_ids": {0: "texts", 1: "ngrams"},
    "gram_weights": {0: "texts", 1: "ngrams"},
    "history_vectors": {0: "shoppers", 1: "history"},
    "history_kinds": {0: "shoppers", 1: "history"},
    "history_gaps": {0: "shoppers", 1: "history"},
    "candidate_vectors": {0: "shoppers", 1: "candidates"},
    "candidate_features": {0: "shoppers", 1: "candidates"},
}


class Wanted(NamedTuple):
    """A file of the bundle, and the names of what goes in and comes out."""

    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def write_graph(module: nn.Module, wanted: Wanted, sample: tuple[Tensor, ...], folder: Path) -> Graph:
    """Trace ``module`` on ``sample``, write the file, describe it."""
    named = {axis: torch.export.Dim(axis) for name in wanted.inputs for axis in AXES[name].values()}
    shapes = tuple({at: named[axis] for at, axis in AXES[name].items()} for name in wanted.inputs)
    program = torch.onnx.export(
        module, sample, dynamo=True, opset_version=OPSET, external_data=False, dynamic_shapes=shapes,
        input_names=list(wanted.inputs), output_names=list(wanted.outputs), verbose=False,
    )  # fmt: skip
    if program is None:
        raise RuntimeError(f"torch.onnx.export gave nothing for {wanted.file}")
    model = plain(program.model_proto)
    onnx.checker.check_model(model)
    (folder / wanted.file).write_bytes(model.SerializeToString(deterministic=True))
    return _described(wanted.file, model)


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without stack traces, paths and notes of the exporter: they differ from machine to machine."""
    del model.metadata_props[:]
    model.doc_string, model.producer_version = "", ""
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for function in model.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""
    return model


def _described(file: str, model: onnx.ModelProto) -> Graph:
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    inputs, outputs = (tuple(_entry(value) for value in values) for values in (model.graph.input, model.graph.output))
    return Graph(file=file, opset=opset, inputs=inputs, outputs=outputs)


def _entry(value: onnx.ValueInfoProto) -> TensorEntry:
    kind = value.type.tensor_type
    axes = tuple(d.dim_param or int(d.dim_value) for d in kind.shape.dim)
    return TensorEntry(name=value.name, dtype=onnx.TensorProto.DataType.Name(kind.elem_type).lower(), axes=axes)
