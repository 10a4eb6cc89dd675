"""The matrix products that a slate's ranking cannot do without, as a graph of nothing else: the floor of its time.

Shapes are those of ``training/model.py``. Each product has inputs of its own, so that no two can be merged, and its
weights are constants, so that ONNX Runtime packs them as it does the model's.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from contracts.features import FEATURES, ORDER_HEADS, OUTCOME_HEADS
from training.config import RankerSize
from training.model import OUTCOME_WIDE, WIDE


class Product(NamedTuple):
    """[batch, m, k] x [batch, k, n]; ``weights``: the right side is constant, and the batch is 1."""

    m: int
    k: int
    n: int
    batch: int = 1
    weights: bool = True

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.m * self.k * self.n


def products(size: RankerSize, vector_dim: int, history: int, candidates: int) -> list[Product]:
    """One shopper's: the history through all blocks but the last, whose answer nobody reads; candidates through all."""
    joined = size.dim + size.feature_dim + len(FEATURES) + 2
    return [
        *(Product(rows, vector_dim, size.dim) for rows in (history, candidates)),
        *(
            one
            for layer in range(size.layers)
            for one in _block(size, history + 1, candidates, layer == size.layers - 1)
        ),
        Product(history, vector_dim, size.dim),  # likeness: the history there and back, and candidates against it
        Product(history, size.dim, vector_dim),
        Product(candidates, vector_dim, history, weights=False),
        *(Product(candidates, k, n) for k, n in ((len(FEATURES), WIDE), (WIDE, WIDE), (WIDE, len(ORDER_HEADS)))),
        Product(candidates, len(FEATURES), size.feature_dim),
        Product(candidates, joined, size.dim),
        Product(candidates, size.dim, len(ORDER_HEADS)),
        Product(candidates, len(FEATURES), len(ORDER_HEADS)),
        Product(candidates, joined, OUTCOME_WIDE),
        Product(candidates, OUTCOME_WIDE, len(OUTCOME_HEADS)),
    ]


def query_products(size: RankerSize, vector_dim: int, history: int) -> list[Product]:
    """One shopper's query: the history through all blocks, of the last one its newest place alone."""
    places = history + 1
    return [
        Product(history, vector_dim, size.dim),
        *(
            one
            for layer in range(size.layers)
            for one in _passed(size, places, [1 if layer == size.layers - 1 else places])
        ),
        Product(1, size.dim, vector_dim),
    ]


def _block(size: RankerSize, history: int, candidates: int, last: bool) -> Iterator[Product]:
    """``history`` with the place for "nothing"."""
    return _passed(size, history, [candidates] if last else [candidates, history])


def _passed(size: RankerSize, history: int, passing: Sequence[int]) -> Iterator[Product]:
    """A block's memory of the history, and so many rows each through the block."""
    yield from (Product(history, size.dim, size.dim) for _ in ("keys", "values"))
    for rows in passing:
        yield Product(rows, size.dim, history, weights=False)
        yield Product(rows, history, size.dim, weights=False)
        yield Product(rows, size.dim, 2 * size.dim)
        yield Product(rows, 2 * size.dim, size.dim)


class Floor:
    """All products in one session on one thread, their outputs bound, so that nothing is copied or allocated."""

    def __init__(self, wanted: list[Product]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(_graph(wanted), options, providers=["CPUExecutionProvider"])
        self._binding = self._session.io_binding()
        rng = np.random.default_rng(0)
        for one in self._session.get_inputs():
            value = ort.OrtValue.ortvalue_from_numpy(rng.standard_normal(one.shape).astype(np.float32))
            self._binding.bind_ortvalue_input(one.name, value)
        for one in self._session.get_outputs():
            value = ort.OrtValue.ortvalue_from_numpy(np.zeros(one.shape, np.float32))
            self._binding.bind_ortvalue_output(one.name, value)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)


def _graph(wanted: list[Product]) -> bytes:
    rng = np.random.default_rng(0)
    nodes, inputs, outputs, constants = [], [], [], []
    for i, one in enumerate(wanted):
        batch = [] if one.weights else [one.batch]
        inputs.append(_tensor(f"a{i}", [*batch, one.m, one.k]))
        outputs.append(_tensor(f"c{i}", [*batch, one.m, one.n]))
        if one.weights:
            weights = rng.standard_normal((one.k, one.n)).astype(np.float32)
            constants.append(numpy_helper.from_array(weights, f"b{i}"))
        else:
            inputs.append(_tensor(f"b{i}", [*batch, one.k, one.n]))
        nodes.append(helper.make_node("MatMul", [f"a{i}", f"b{i}"], [f"c{i}"]))
    graph = helper.make_graph(nodes, "products", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def _tensor(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
