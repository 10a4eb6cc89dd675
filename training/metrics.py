"""How well answers are ranked on the last part of the log, beside what needs no training.

Two kinds of figures. Lists: the answer among what was shown beside it, or where that is not known among what the
sources propose, so harder than a random sample and easier than the whole catalogue; they choose the epoch and compare
scorers on the same lists, and are no measure of quality in the world. Retrieval: the answer among the whole catalogue,
nothing sampled.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.features import FEATURES
from training.lists import Examples
from training.outcomes import outcome_figures

K = 10
WIDE = 40

Places = NDArray[np.int64]
Scores = NDArray[np.float32]


class Ranked(NamedTuple):
    """``scores`` [B, N] of the lists; ``places`` [B], from 0, of the answers in the whole catalogue.

    ``outcomes`` [B, outcome heads], in 0..1: what is expected to come of the answers; None where nothing is said.
    """

    scores: Scores
    places: Places
    outcomes: Scores | None = None


class Validation(NamedTuple):
    """Means over the clicks. ``blend``: weighted features without training; ``popularity``: the trend."""

    ndcg: float
    hit_rate: float
    blend_ndcg: float
    blend_hit_rate: float
    popularity_ndcg: float
    popularity_hit_rate: float
    retrieval_hit_rate_10: float
    retrieval_hit_rate_40: float
    clicks: int
    outcomes: dict[str, float]

    def figures(self) -> dict[str, float]:
        """For the manifest."""
        return {
            "validation_ndcg_at_10": self.ndcg,
            "validation_hit_rate_at_10": self.hit_rate,
            "validation_blend_ndcg_at_10": self.blend_ndcg,
            "validation_blend_hit_rate_at_10": self.blend_hit_rate,
            "validation_popularity_ndcg_at_10": self.popularity_ndcg,
            "validation_popularity_hit_rate_at_10": self.popularity_hit_rate,
            "validation_retrieval_hit_rate_at_10": self.retrieval_hit_rate_10,
            "validation_retrieval_hit_rate_at_40": self.retrieval_hit_rate_40,
            "validation_examples": float(self.clicks),
            **self.outcomes,
        }


def measure(
    answer: Callable[[Examples], Ranked], batches: Sequence[Examples], blend: Mapping[str, float]
) -> Validation:
    """Over the clicks of ``batches``."""
    weights = np.array([blend.get(name, 0.0) for name in FEATURES], np.float32)
    trend = FEATURES.index("trend")
    found, said = list[tuple[Places, ...]](), list[tuple[Scores, Scores]]()
    for batch in batches:
        ranked = answer(batch)
        found.append(_places(ranked, batch, batch.features @ weights, batch.features[..., trend]))
        if ranked.outcomes is not None:
            said.append((ranked.outcomes, batch.outcomes))
    model, plain, popular, whole = (np.concatenate(places) for places in zip(*found, strict=True))
    came = outcome_figures(*map(np.concatenate, zip(*said, strict=True))) if said else {}
    return Validation(
        ndcg(model), hits(model), ndcg(plain), hits(plain), ndcg(popular), hits(popular),
        hits(whole), hits(whole, WIDE), len(model), came,
    )  # fmt: skip


def _places(
    ranked: Ranked, batch: Examples, plain: NDArray[np.float32], trend: NDArray[np.float32]
) -> tuple[Places, ...]:
    clicks = batch.heads == 0
    lists = (places_of_answers(scores, batch) for scores in (ranked.scores, plain, trend))
    return (*(places[clicks] for places in lists), ranked.places[clicks])


def places_of_answers(scores: NDArray[np.float32], batch: Examples) -> Places:
    """[B], from 0, within the choice sets. Ties are pessimistic, and so is what is no number.

    An answer that nobody proposed stands behind all.
    """
    known = np.where(batch.choice_set, scores, -np.inf)
    places = (~(known[:, 1:] < known[:, :1])).sum(axis=1)
    return np.asarray(np.where(batch.proposed, places, known.shape[1]))


def ndcg(places: Places, k: int = K) -> float:
    """Mean of 1 / log2(2 + place), 0 beyond the first ``k``."""
    return float(np.where(places < k, 1.0 / np.log2(places + 2.0), 0.0).mean()) if len(places) else 0.0


def hits(places: Places, k: int = K) -> float:
    """The share of answers among the first ``k``."""
    return float((places < k).mean()) if len(places) else 0.0
