"""A tiny, whole, valid bundle with fixed weights, made in milliseconds without PyTorch: for tests and benchmarks.

Its encoder is a bag of words, its retriever a weighted mean of the history, its ranker a dot product with that mean
plus a weighted sum of the features: small enough to know the right answer by hand.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from contracts.bundle import (
    ITEM_DELTAS,
    ITEM_ENCODER,
    RANKER,
    RETRIEVER,
    SCHEMA,
    TOKENIZER,
    Bundle,
    Figure,
    Graph,
    Manifest,
    Parity,
    Tensor,
    TrainingFacts,
    Version,
    entries,
    write_manifest,
)
from contracts.events import Kind
from contracts.features import FEATURES, FEATURES_VERSION, GAP_BUCKETS, HEADS, HISTORY_LIMIT

OPSET = 20
TEXT_DIM = 16
DELTA_DIM = 4
MAX_TOKENS = 64
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,>-"
WORDS = [
    "shoe", "boot", "trail", "run", "city", "lamp", "light", "desk", "table", "chair", "tea", "coffee", "cup",
    "pot", "green", "black", "red", "blue", "book", "paper", "pen", "jacket", "coat", "rain", "wool", "tent",
    "camp", "bag", "pack", "bottle", "knife", "pan", "oven", "garden", "seed", "plant", "toy", "puzzle", "game",
    "ball", "bike",
]  # fmt: skip

#: What the ranker makes of the features, for each head alike.
WEIGHTS = {
    "co_occurrence": 0.8, "words_recent": 1.5, "words_last": 0.5, "trend": 0.1, "newness": 0.1, "shown": -0.1,
}  # fmt: skip


def tiny_bundle(
    folder: Path,
    seed: int = 0,
    text_dim: int = TEXT_DIM,
    deltas: Mapping[str, float] | None = None,
    features: tuple[str, ...] = FEATURES,
) -> Bundle:
    """Write the bundle into ``folder`` (made if missing) and open it. The same arguments give the same digest.

    ``deltas`` gives the id delta (one number for all its columns) of items; others have none. ``features``: what its
    ranker reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dim, rng = text_dim + DELTA_DIM, np.random.default_rng(seed)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    graphs = (
        _save(folder, ITEM_ENCODER, _encoder(rng, tokenizer.get_vocab_size(), text_dim)),
        _save(folder, RETRIEVER, _retriever(dim)),
        _save(folder, RANKER, _ranker(dim, features)),
    )
    names = [ITEM_ENCODER, RETRIEVER, RANKER, TOKENIZER]
    if deltas:
        names.append(ITEM_DELTAS)
        _save_deltas(folder, deltas)
    manifest = _manifest(folder, tuple(names), graphs, text_dim, seed)
    return write_manifest(folder, replace(manifest, features=features))


def _manifest(folder: Path, names: tuple[str, ...], graphs: tuple[Graph, ...], text_dim: int, seed: int) -> Manifest:
    return Manifest(
        schema=SCHEMA,
        name="tiny",
        features_version=FEATURES_VERSION,
        features=FEATURES,
        heads=HEADS,
        text_dim=text_dim,
        delta_dim=DELTA_DIM,
        max_tokens=MAX_TOKENS,
        history_limit=HISTORY_LIMIT,
        files=entries(folder, names),
        graphs=graphs,
        parity=tuple(_exact(graph.file) for graph in graphs),
        training=TrainingFacts(
            data_digest="none", events=0, shoppers=0, items=0, seed=seed, metrics=(Figure(name="auc", value=0.5),)
        ),
        versions=(Version(library="onnx", version=onnx.__version__),),
    )


def _exact(file: str) -> Parity:
    return Parity(file=file, max_abs_difference=0.0, rank_correlation=1.0, top10_kept=1.0, tolerance=1e-3)


def _tokenizer() -> Tokenizer:
    pieces = ["[PAD]", "[UNK]", *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # type: ignore[arg-type]
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _save_deltas(folder: Path, deltas: Mapping[str, float]) -> None:
    ids = np.frombuffer(msgspec.json.encode(list(deltas)), np.uint8)
    table = np.repeat(np.array(list(deltas.values()), np.float32)[:, None], DELTA_DIM, axis=1)
    save_file({"item_ids": ids, "deltas": table}, folder / ITEM_DELTAS)


def _encoder(rng: np.random.Generator, vocabulary: int, dim: int) -> onnx.GraphProto:
    """The sum of the words' random vectors, of unit length."""
    words = rng.normal(size=(vocabulary, dim)).astype(np.float32)
    words[2 + len(WORDS) :] *= 0.2  # letters say less than words
    nodes = [
        _node("Gather", ["words", "input_ids"], "tokens"),
        _node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT),
        _node("Unsqueeze", ["mask", "last"], "wide"),
        _node("Mul", ["tokens", "wide"], "known"),
        _node("ReduceSum", ["known", "one"], "bag", keepdims=0),
        _node("ReduceL2", ["bag", "last"], "length", keepdims=1),
        _node("Max", ["length", "tiny"], "safe"),
        _node("Div", ["bag", "safe"], "vectors"),
    ]
    constants = {"words": words, "last": _axis(-1), "one": _axis(1), "tiny": np.array([1e-6], np.float32)}
    inputs = [_int("input_ids", "n", "t"), _int("attention_mask", "n", "t")]
    return _graph(nodes, inputs, [_float("vectors", "n", dim)], constants)


def _retriever(dim: int) -> onnx.GraphProto:
    return _graph(_query_nodes(), _history(dim), [_float("query", "b", dim)], _query_constants())


def _ranker(dim: int, features: tuple[str, ...]) -> onnx.GraphProto:
    weights = np.array([[WEIGHTS.get(name, 0.0)] * len(HEADS) for name in features], np.float32)
    nodes = [
        *_query_nodes(),
        _node("Unsqueeze", ["query", "last"], "column"),
        _node("MatMul", ["candidate_vectors", "column"], "near"),
        _node("MatMul", ["candidate_features", "weights"], "told"),
        _node("Add", ["near", "told"], "sum"),
        _node("Add", ["sum", "bias"], "logits"),
    ]
    inputs = [
        *_history(dim),
        _float("candidate_vectors", "b", "n", dim),
        _float("candidate_features", "b", "n", len(features)),
    ]
    constants = {**_query_constants(), "weights": weights, "bias": np.array([-2.0, -3.0, -4.0, 1.0, -1.0], np.float32)}
    return _graph(nodes, inputs, [_float("logits", "b", "n", len(HEADS))], constants)


def _query_nodes() -> list[onnx.NodeProto]:
    """The history's vectors, weighted by kind and age, summed over the history."""
    return [
        _node("Gather", ["by_kind", "history_kinds"], "kind_weight"),
        _node("Gather", ["by_gap", "history_gaps"], "gap_weight"),
        _node("Mul", ["kind_weight", "gap_weight"], "weight"),
        _node("Unsqueeze", ["weight", "last"], "wide_weight"),
        _node("Mul", ["history_vectors", "wide_weight"], "weighted"),
        _node("ReduceSum", ["weighted", "one"], "query", keepdims=0),
    ]


def _query_constants() -> dict[str, NDArray[np.generic]]:
    by_kind = np.zeros(len(Kind), np.float32)
    by_kind[[Kind.CLICK, Kind.VIEW, Kind.WISHLIST, Kind.CART_ADD, Kind.PURCHASE]] = 0.2, 0.2, 0.4, 0.6, 0.4
    by_gap = (0.9 ** np.arange(GAP_BUCKETS)).astype(np.float32)
    return {"by_kind": by_kind, "by_gap": by_gap, "last": _axis(-1), "one": _axis(1)}


def _history(dim: int) -> list[onnx.ValueInfoProto]:
    return [_float("history_vectors", "b", "h", dim), _int("history_kinds", "b", "h"), _int("history_gaps", "b", "h")]


def _axis(axis: int) -> NDArray[np.int64]:
    return np.array([axis], np.int64)


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: int) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [output], name=output, **attributes)


def _float(name: str, *axes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes))


def _int(name: str, *axes: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, list(axes))


def _graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, NDArray[np.generic]],
) -> onnx.GraphProto:
    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    return helper.make_graph(list(nodes), "tiny", list(inputs), list(outputs), tensors)


def _save(folder: Path, file: str, graph: onnx.GraphProto) -> Graph:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="daogou")
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    (folder / file).write_bytes(model.SerializeToString(deterministic=True))
    return Graph(
        file=file,
        opset=OPSET,
        inputs=tuple(_tensor(value) for value in graph.input),
        outputs=tuple(_tensor(value) for value in graph.output),
    )


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    axes = tuple(axis.dim_param or axis.dim_value for axis in kind.shape.dim)
    return Tensor(name=value.name, dtype={TensorProto.FLOAT: "float32"}.get(kind.elem_type, "int64"), axes=axes)
