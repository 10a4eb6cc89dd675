"""The golden batch and the edge cases on which an exported graph must agree with PyTorch. Fixed seeds."""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from contracts.events import Kind
from contracts.features import FEATURES, GAP_BUCKETS
from training.encoder import tokenized

ENCODER_INPUTS = ("input_ids", "attention_mask")

#: What the module is called with, positionally; the first case is the one that is traced.
Case = tuple[Tensor, ...]
Cases = tuple[Case, ...]


class Shape(NamedTuple):
    """One case: the first shopper of each has no history, nothing but padding."""

    shoppers: int
    history: int
    candidates: int


def shapes(limit: int) -> tuple[Shape, ...]:
    """A batch, one event, none at all, the limit and more than it; one candidate, and thousands; a full batch."""
    return (
        Shape(4, min(12, limit), 30), Shape(2, 1, 30), Shape(1, 1, 1), Shape(3, limit, 100), Shape(2, limit + 7, 20),
        Shape(2, min(20, limit), 1), Shape(2, min(20, limit), 5000), Shape(64, limit, 100),
    )  # fmt: skip


#: Edge cases of a text, each also alone. "wörd" is longer than any limit.
EDGES = (
    "Trail running shoe, waterproof. Sport > Shoes. Norden", "", "a", "Lamp",
    "红色连衣裙，夏季新款，纯棉", "wörd " * 500, "<script>alert(1)</script>", "🙂 Geschenkset für Kinder – 3 Stück",
)  # fmt: skip


#: Titles that are like each other in one word or two: their order by likeness is easily lost.
TITLES = tuple(
    " ".join(words)
    for words in product(("red", "black", "green"), ("wool", "leather", "cotton"), ("coat", "shoe", "bag", "lamp"))
)


def encoder_cases(tokenizer: Tokenizer) -> Cases:
    """Titles, and texts short, long, empty, Chinese; in one batch and alone."""
    golden = tokenized(tokenizer, (*TITLES, *EDGES))
    return (golden, *(tokenized(tokenizer, [text]) for text in EDGES))


def probes(dim: int) -> NDArray[np.float32]:
    """[500, dim]: items of random direction, for a query to order."""
    return np.random.default_rng(11).standard_normal((500, dim)).astype(np.float32) / np.float32(dim**0.5)


def retriever_cases(dim: int, limit: int) -> Cases:
    """Histories, the first of each batch empty."""
    rng = np.random.default_rng(7)
    return tuple(_history(rng, shape, dim) for shape in shapes(limit))


def ranker_cases(dim: int, limit: int) -> Cases:
    """Histories, candidates and features."""
    rng = np.random.default_rng(7)
    return tuple(
        (
            *_history(rng, shape, dim),
            _floats(rng, shape.shoppers, shape.candidates, dim),
            _floats(rng, shape.shoppers, shape.candidates, len(FEATURES)).abs(),
        )
        for shape in shapes(limit)
    )


def _history(rng: np.random.Generator, shape: Shape, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    shoppers, length, _ = shape
    vectors = _floats(rng, shoppers, length, dim)
    kinds = torch.from_numpy(rng.integers(1, len(Kind), (shoppers, length)))
    gaps = torch.from_numpy(rng.integers(0, GAP_BUCKETS, (shoppers, length)))
    vectors[0], kinds[0], gaps[0] = 0.0, 0, 0
    return vectors, kinds, gaps


def _floats(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy((rng.standard_normal(shape) / 8).astype(np.float32))
