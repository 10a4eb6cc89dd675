"""Weights of hashed character n-grams: a softmax regression that stands in a classifier's graph, beside its encoder.

The encoder learns what the n-grams leave to it, from answers of n-grams that had not seen the text: those that have
are too sure, and would leave nothing to learn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import log_softmax
from torch import Tensor, nn

from contracts.ngrams import BUCKETS, ngrams_of
from training.ngrams import LEAST, PENALTIES, Classes, Regression, fit_regression
from training.telling import Say
from training.unit_rows import unit_rows
from training.weights import fill

FOLDS = 4
MOST_WEIGHTS = 4_000_000  # buckets times classes: the most frequent buckets are kept

Numbers = NDArray[np.float64]


class Texts(NamedTuple):
    """Texts and their classes' numbers, -1 for one that was never learned."""

    texts: Sequence[str]
    truth: Classes


class Learned(NamedTuple):
    """The module; and its logits [n, classes] of the texts it learned from, each as if the text came new."""

    module: "HashedNgrams"
    forward: Numbers


class HashedNgrams(nn.Module):
    """Buckets and weights -> logits. Rows of ``table``: rarity, then rarity times each class's weight; row 0 is zeros.

    ``row_of`` [BUCKETS]: which row a bucket has.
    """

    row_of: Tensor
    table: Tensor
    bias: Tensor

    def __init__(self, row_of: Tensor, table: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("row_of", row_of)
        self.register_buffer("table", table)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], classes: int, path: Path) -> "HashedNgrams":
        """As ``path`` has them. Raises: Unacceptable, where they are not those of so many classes."""
        rows = tensors["table"].shape[:1].numel() if "table" in tensors else 0
        found = cls(torch.zeros(BUCKETS, dtype=torch.int64), torch.zeros(rows, classes + 1), torch.zeros(classes))
        fill(found, tensors, path)
        return found

    def forward(self, ids: Tensor, weights: Tensor) -> Tensor:
        """``ids`` [n, G] int64, ``weights`` [n, G] float32, as ``contracts/ngrams.py`` makes them -> [n, classes]."""
        found = self.table[self.row_of[ids]] * weights[..., None]
        length = found[..., 0].square().sum(-1, keepdim=True).sqrt().clamp(min=1e-6)
        return found[..., 1:].sum(1) / length + self.bias


class Known(NamedTuple):
    """Which buckets are known, most frequent first, and how rare each is."""

    buckets: NDArray[np.int64]
    rarity: Numbers

    @classmethod
    def of(cls, counts: sparse.csr_matrix, classes: int) -> "Known":
        """Those that ``LEAST`` texts of ``counts`` [texts, BUCKETS] have, as many as ``MOST_WEIGHTS`` lets."""
        seen = counts.getnnz(axis=0)
        order = np.argsort(-seen, kind="stable")[: max(1, MOST_WEIGHTS // classes)]
        kept = order[seen[order] >= LEAST]
        return cls(kept, np.log((1 + counts.shape[0]) / (1 + seen[kept])) + 1)

    def rows(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """[texts, known]: by rarity, of unit length."""
        return unit_rows((counts[:, self.buckets] @ sparse.diags(self.rarity)).tocsr())


def learn_ngrams(learn: Texts, choose: Texts, classes: int, say: Say) -> Learned:
    """The penalty is the one that is best on ``choose``."""
    counts = count_matrix(learn.texts)
    known = Known.of(counts, classes)
    rows, judged = known.rows(counts), known.rows(count_matrix(choose.texts))
    tried = {penalty: fit_regression(rows, learn.truth, classes, penalty) for penalty in PENALTIES}
    costs = {penalty: _cost(found, judged, choose.truth) for penalty, found in tried.items()}
    best = min(PENALTIES, key=costs.__getitem__)
    say(f"character n-grams: {len(known.buckets):,} weights a class, log loss {costs[best]:.4f} on validation")
    return Learned(_module(known, tried[best]), _forward(rows, learn.truth, classes, best))


def count_matrix(texts: Sequence[str]) -> sparse.csr_matrix:
    """[texts, BUCKETS]: the weights of ``contracts/ngrams.py``."""
    each = [ngrams_of(text) for text in texts]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in each)])
    columns, values = (np.concatenate([row[side] for row in each]) for side in (0, 1))
    return sparse.csr_matrix((values.astype(np.float64), columns, ends), shape=(len(each), BUCKETS))


def _cost(found: Regression, rows: sparse.csr_matrix, truth: Classes) -> float:
    """Log loss, over the texts whose class was learned."""
    logs = log_softmax(_logits(found, rows), axis=1)[truth >= 0]
    return -float(logs[np.arange(len(logs)), truth[truth >= 0]].mean()) if len(logs) else 0.0


def _forward(rows: sparse.csr_matrix, truth: Classes, classes: int, penalty: float) -> Numbers:
    found = np.zeros((len(truth), classes))
    places = np.random.default_rng(0).permutation(len(truth)) % FOLDS
    for fold in range(FOLDS):
        others, own = np.flatnonzero(places != fold), np.flatnonzero(places == fold)
        found[own] = _logits(fit_regression(rows[others], truth[others], classes, penalty), rows[own])
    return found


def _logits(found: Regression, rows: sparse.csr_matrix) -> Numbers:
    return np.asarray(rows @ found.weights + found.biases)


def _module(known: Known, found: Regression) -> HashedNgrams:
    row_of = torch.zeros(BUCKETS, dtype=torch.int64)
    row_of[torch.from_numpy(known.buckets)] = torch.arange(1, len(known.buckets) + 1)
    table = np.concatenate([known.rarity[:, None], found.weights * known.rarity[:, None]], axis=1)
    padded = np.concatenate([np.zeros((1, table.shape[1])), table]).astype(np.float32)
    return HashedNgrams(row_of, torch.from_numpy(padded), torch.from_numpy(found.biases.astype(np.float32)))
