"""The count model: which item follows which, with decay, and what looks alike (PCTM, Spotify, RecSys 2026).

``C[i, j]`` sums ``w(d)`` over every i that stood d <= W steps before j; ``E = log1p(C * items / tau)``; an item's
score is ``sum over the history of base ** age * E[item, candidate] + popularity_weight * log popularity`` plus,
where items have attributes, ``attribute_weight * similarity``. On the public sets it beats the published neural
figures, so it is the bar. Constants are chosen on validation by ``tune``.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import sparse

from evaluation.metrics import ndcg, ranks_of

Past = NDArray[np.int32]
Scores = NDArray[np.float32]


class Constants(Struct, frozen=True, kw_only=True):
    """What ``tune`` chooses. ``tau`` is relative to the number of items."""

    window: int = 10
    tau: float = 1.0
    base: float = 0.6
    popularity_weight: float = -0.04
    attribute_weight: float = 0.0
    attribute_base: float = 0.8


class Validation(NamedTuple):
    """Shoppers to choose constants on: their pasts and the item that came next."""

    pasts: Sequence[Past]
    targets: NDArray[np.int32]


class Transitions:
    """Counts of transitions, with or without attributes."""

    def __init__(
        self, pasts: Sequence[Past], items: int, constants: Constants, attributes: sparse.csr_matrix | None = None
    ) -> None:
        self.name = "transitions" if attributes is None else "transitions + attributes"
        self.constants = constants
        self._items = items
        self._edges = _counts(pasts, items, constants.window)
        self._edges.data = np.log1p(self._edges.data / constants.tau).astype(np.float32)
        popular = np.bincount(np.concatenate(pasts), minlength=items)
        self._prior = constants.popularity_weight * np.log1p(popular).astype(np.float32)
        self._attributes = attributes

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """[B, items]."""
        c = self.constants
        total = (recency_matrix(pasts, self._items, c.base) @ self._edges).toarray() + self._prior
        if self._attributes is not None and c.attribute_weight:
            taste = recency_matrix(pasts, self._items, c.attribute_base) @ self._attributes
            total += c.attribute_weight * (taste @ self._attributes.T).toarray()
        return np.asarray(total, np.float32)


def recency_matrix(pasts: Sequence[Past], items: int, base: float, limit: int = 20) -> sparse.csr_matrix:
    """[B, items]: ``base ** age`` of each of a shopper's last items, age 0 the newest; repeats add up."""
    tails = [past[-limit:] for past in pasts]
    lengths = np.array([len(tail) for tail in tails])
    ages = np.concatenate([np.arange(n)[::-1] for n in lengths]) if tails else np.array([])
    at = np.repeat(np.arange(len(tails)), lengths)
    weights = (base**ages).astype(np.float32)
    return sparse.csr_matrix((weights, (at, np.concatenate(tails))), shape=(len(tails), items))


def _counts(pasts: Sequence[Past], items: int, window: int) -> sparse.csr_matrix:
    """C[i, j], weighted 1 / sqrt(distance)."""
    total = sparse.csr_matrix((items, items), dtype=np.float32)
    flat = np.concatenate(pasts)
    owner = np.repeat(np.arange(len(pasts)), [len(past) for past in pasts])
    for distance in range(1, window + 1):
        same = owner[distance:] == owner[:-distance]
        pairs = (flat[:-distance][same], flat[distance:][same])
        weights = np.full(int(same.sum()), distance**-0.5, np.float32)
        total = total + sparse.csr_matrix((weights, pairs), shape=(items, items))
    return sparse.csr_matrix(total)


def tune(
    pasts: Sequence[Past], items: int, validation: Validation, attributes: sparse.csr_matrix | None = None
) -> Constants:
    """Choose the constants by coordinate search for NDCG@10 on validation, never on a test."""
    grids: dict[str, tuple[float, ...]] = {
        "window": (3, 10, 20), "tau": (0.3, 1.0, 3.0), "base": (0.4, 0.6, 0.8), "popularity_weight": (-0.2, -0.04, 0.0),
    }  # fmt: skip
    if attributes is not None:
        grids |= {"attribute_weight": (0.1, 0.3, 0.6, 1.2, 2.4), "attribute_base": (0.6, 0.8, 0.95)}
    best, best_value = Constants(), -1.0
    for _, (name, grid) in product(range(2), grids.items()):
        for value in grid:
            tried = replace(best, **{name: int(value) if name == "window" else value})
            found = validated(Transitions(pasts, items, tried, attributes), validation)
            if found > best_value:
                best, best_value = tried, found
    return best


class Scoring(Protocol):
    """Scores all items for some shoppers."""

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """[B, items]."""


def validated(model: Scoring, validation: Validation) -> float:
    """NDCG@10 on validation, seen items removed: what constants are chosen by."""
    values = [
        ndcg(ranks_of(without_seen(model.scores(pasts), pasts), targets), 10)
        for pasts, targets in batches(validation.pasts, validation.targets)
    ]
    return float(np.concatenate(values).mean())


def without_seen(scores: Scores, pasts: Sequence[Past]) -> Scores:
    """Scores with every item of the shopper's past out of the race."""
    at = np.repeat(np.arange(len(pasts)), [len(past) for past in pasts])
    scores[at, np.concatenate(pasts)] = -np.inf
    return scores


def batches(
    pasts: Sequence[Past], targets: NDArray[np.int32], size: int = 512
) -> list[tuple[Sequence[Past], NDArray[np.int32]]]:
    """Shoppers in groups whose score matrix fits in memory."""
    return [(pasts[i : i + size], targets[i : i + size]) for i in range(0, len(pasts), size)]
