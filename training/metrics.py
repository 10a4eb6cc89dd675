"""How well answers are ranked among their candidates on the last part of the log, beside what needs no training."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.features import FEATURES
from training.examples import Examples

Score = Callable[[Examples], NDArray[np.float32]]
K = 10


class Validation(NamedTuple):
    """Means over the clicks. The baselines: co-occurrence plus likeness (no training), and the trend."""

    ndcg: float
    hit_rate: float
    baseline_ndcg: float
    popularity_ndcg: float
    examples: int

    def figures(self) -> dict[str, float]:
        """For the manifest."""
        return {
            "validation_ndcg_at_10": self.ndcg,
            "validation_hit_rate_at_10": self.hit_rate,
            "validation_features_ndcg_at_10": self.baseline_ndcg,
            "validation_popularity_ndcg_at_10": self.popularity_ndcg,
            "validation_examples": float(self.examples),
        }


def measure(score: Score, batches: Sequence[Examples]) -> Validation:
    """NDCG@10 and hit rate of the answer among its candidates (the answer and what the sources propose)."""
    ranks, plain, popular = [], [], []
    for batch in batches:
        clicks = batch.heads == 0
        ranks.append(_ranks(score(batch), batch)[clicks])
        plain.append(_ranks(_column(batch, "co_occurrence") + _column(batch, "similar_recent"), batch)[clicks])
        popular.append(_ranks(_column(batch, "trend"), batch)[clicks])
    ours = np.concatenate(ranks)
    return Validation(
        _ndcg(ours), float((ours < K).mean()), _ndcg(np.concatenate(plain)), _ndcg(np.concatenate(popular)), len(ours)
    )


def _column(batch: Examples, name: str) -> NDArray[np.float32]:
    return batch.features[..., FEATURES.index(name)]


def _ranks(scores: NDArray[np.float32], batch: Examples) -> NDArray[np.int64]:
    """Ties are pessimistic; padding is out."""
    known = np.where(batch.candidates >= 0, scores, -np.inf)
    return np.asarray((known[:, 1:] >= known[:, :1]).sum(axis=1))


def _ndcg(ranks: NDArray[np.int64]) -> float:
    return float(np.where(ranks < K, 1.0 / np.log2(ranks + 2.0), 0.0).mean()) if len(ranks) else 0.0
