"""Ranking metrics over a full ranking of all items, and the confidence one may have in a difference.

Ties are pessimistic: an item that scores the same as the target stands before it. A non-finite score ranks last.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import sparse

from evaluation.lists import diversity, gini

CUTOFFS = (1, 5, 10, 20, 50)

Ranks = NDArray[np.int64]


class Quality(Struct, frozen=True, kw_only=True):
    """Means over shoppers at one cutoff. ``coverage``: share of the catalogue in somebody's list.

    ``recall`` is ``hit_rate``, as one item is relevant; None in what was written before it was named.

    ``gini``: how unequally the catalogue is shown; ``diversity``: within a list, None where items have no attributes.
    """

    k: int
    hit_rate: float
    ndcg: float
    mrr: float
    coverage: float
    novelty: float
    popularity: float
    gini: float = 0.0
    diversity: float | None = None
    recall: float | None = None


class Difference(NamedTuple):
    """A paired bootstrap of a mean difference: the mean and its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def ranks_of(scores: NDArray[np.float32], targets: NDArray[np.int32]) -> Ranks:
    """[B] ranks (0 is best) of ``targets`` [B] in ``scores`` [B, items]. Removed items score -inf."""
    clean = np.where(np.isnan(scores), -np.inf, scores)
    mine = clean[np.arange(len(targets)), targets]
    before = (clean >= mine[:, None]).sum(axis=1) - 1
    return np.asarray(np.where(np.isfinite(mine), before, scores.shape[1]), np.int64)


def hit_rate(ranks: Ranks, k: int) -> NDArray[np.float64]:
    """[B]: 1 where the target is among the first k. With one target a shopper it is recall as well."""
    return (ranks < k).astype(np.float64)


def ndcg(ranks: Ranks, k: int) -> NDArray[np.float64]:
    """[B]: 1 / log2(rank + 2) where the target is among the first k (one relevant item)."""
    return np.asarray(np.where(ranks < k, 1.0 / np.log2(ranks + 2.0), 0.0))


def reciprocal_rank(ranks: Ranks, k: int) -> NDArray[np.float64]:
    """[B]: 1 / (rank + 1) where the target is among the first k."""
    return np.asarray(np.where(ranks < k, 1.0 / (ranks + 1.0), 0.0))


def quality(
    ranks: Ranks, tops: NDArray[np.int32], counts: NDArray[np.int64], k: int,
    attributes: sparse.csr_matrix | None = None,
) -> Quality:  # fmt: skip
    """Everything at one cutoff. ``tops`` [B, >=k] are the lists, ``counts`` [items] the training interactions.

    Novelty is the mean self-information in bits (Castells et al., 2011); popularity the mean share of shoppers'
    interactions that a listed item has, relative to the mean item's. -1 in ``tops`` is the end of a list.
    """
    hits = float(hit_rate(ranks, k).mean())
    listed, share = tops[:, :k][tops[:, :k] >= 0], (counts + 1.0) / (counts + 1.0).sum()
    return Quality(
        k=k,
        hit_rate=hits,
        recall=hits,
        ndcg=float(ndcg(ranks, k).mean()),
        mrr=float(reciprocal_rank(ranks, k).mean()),
        coverage=len(np.unique(listed)) / len(counts),
        novelty=float(-np.log2(share[listed]).mean()),
        popularity=float(share[listed].mean() * len(counts)),
        gini=gini(listed, len(counts)),
        diversity=None if attributes is None else diversity(tops[:, :k], attributes),
    )


def compare(ours: NDArray[np.float64], theirs: NDArray[np.float64], seed: int = 0, draws: int = 2000) -> Difference:
    """Paired bootstrap over shoppers of ``mean(ours - theirs)`` (Efron and Tibshirani, 1993), one value a shopper."""
    return over_shoppers(ours - theirs, np.arange(len(ours)), seed, draws)


def over_shoppers(
    gaps: NDArray[np.float64], shoppers: NDArray[np.int64], seed: int = 0, draws: int = 2000
) -> Difference:
    """The mean of paired gaps [T] and its 95% interval by a bootstrap that draws whole ``shoppers`` [T].

    The turns of one shopper are not independent, so drawing turns would make it too narrow (Field and Welsh, 2007).
    """
    _, owner = np.unique(shoppers, return_inverse=True)
    sums, counts, rng = np.bincount(owner, gaps), np.bincount(owner), np.random.default_rng(seed)
    drawn = (rng.integers(0, len(sums), len(sums)) for _ in range(draws))
    means = [float(sums[some].sum() / counts[some].sum()) for some in drawn]
    low, high = np.quantile(means, (0.025, 0.975))
    return Difference(float(gaps.mean()), float(low), float(high))


def best_of(qualities: Sequence[Quality], k: int) -> Quality:
    """The figures at one cutoff."""
    return next(quality for quality in qualities if quality.k == k)
