"""The golden batch and the edge cases on which an exported graph must agree with PyTorch. Fixed seeds."""

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from contracts.events import Kind
from contracts.features import FEATURES, GAP_BUCKETS
from training.encoder import tokenized

ENCODER_INPUTS = ("input_ids", "attention_mask")

#: What the module is called with, positionally; the first case is the one that is traced.
Cases = tuple[tuple[Tensor, ...], ...]

#: (shoppers, history, candidates): a batch, none but padding, one event, the limit; one candidate, and thousands.
SHAPES = ((4, 12, 30), (2, 1, 10), (1, 1, 1), (3, 50, 100), (1, 20, 5000), (64, 50, 100))

TEXTS = (
    "Trail running shoe, waterproof. Sport > Shoes. Norden", "", "a", "Lamp",
    "红色连衣裙，夏季新款，纯棉", "wörd " * 500, "<script>alert(1)</script>", "🙂 Geschenkset für Kinder – 3 Stück",
)  # fmt: skip


def encoder_cases(tokenizer: Tokenizer) -> Cases:
    """Texts short, long, empty, Chinese; in one batch and alone."""
    golden = tokenized(tokenizer, TEXTS)
    return (golden, *(tokenized(tokenizer, [text]) for text in TEXTS))


def retriever_cases(dim: int, limit: int) -> Cases:
    """Histories, the first of each batch empty."""
    rng = np.random.default_rng(7)
    return tuple(_history(rng, shoppers, min(history, limit), dim) for shoppers, history, _ in SHAPES)


def ranker_cases(dim: int, limit: int) -> Cases:
    """Histories, candidates and features."""
    rng = np.random.default_rng(7)
    return tuple(
        (
            *_history(rng, shoppers, min(history, limit), dim),
            _floats(rng, shoppers, candidates, dim),
            _floats(rng, shoppers, candidates, len(FEATURES)).abs(),
        )
        for shoppers, history, candidates in SHAPES
    )


def _history(rng: np.random.Generator, shoppers: int, length: int, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    vectors = _floats(rng, shoppers, length, dim)
    kinds = torch.from_numpy(rng.integers(1, len(Kind), (shoppers, length)))
    gaps = torch.from_numpy(rng.integers(0, GAP_BUCKETS, (shoppers, length)))
    vectors[0], kinds[0], gaps[0] = 0.0, 0, 0
    return vectors, kinds, gaps


def _floats(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy((rng.standard_normal(shape) / 8).astype(np.float32))
