"""The light order: of all that the sources proposed and the filters left, what is worth the scorer's time.

A weighted sum of the features, as the first stage of a cascade (Wang et al., "A Cascade Ranking Model for Efficient
Ranked Retrieval", SIGIR 2011). The first ``RESERVED`` of each source pass by right: what is proposed by the model alone
has no sign yet by which the light order could know it. And of what nobody turned to yet, which the light order puts
behind all that was counted, the best have places of their own: whether one is worth more is the ranker's to say.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contracts.features import FEATURES
from contracts.items import Bools, Floats
from inference.merge import Merged

RESERVED = 3
UNCOUNTED = 0.1  # of the places
TREND = FEATURES.index("trend")


class Prerank(NamedTuple):
    """``weights`` [F], at most ``limit`` candidates pass."""

    weights: Floats
    limit: int

    @classmethod
    def of(cls, learned: Sequence[float], blend: Mapping[str, float], limit: int) -> "Prerank":
        """By what training learned; by ``blend``, named features, where a bundle has learned nothing."""
        weights = learned or [blend.get(name, 0.0) for name in FEATURES]
        return cls(np.array(weights, np.float32), limit)

    def best(self, merged: Merged, features: Floats, sources: int, first: int = 0) -> tuple[Merged, Floats]:
        """The best candidates with their features, in their old order, which is that of the sources' turns.

        ``first``: so many more pass by right.
        """
        width = merged.rows.shape[1]
        if width <= self.limit:
            return merged, features
        there = np.asarray(merged.rows >= 0)
        light = np.where(there, np.nan_to_num(features @ self.weights, nan=-1e30, neginf=-1e30), -np.inf)
        self._by_right(light, there & (features[..., TREND] == 0.0))
        light[:, : min(first + RESERVED * sources, self.limit)] = np.inf
        light[~there] = -np.inf
        at = np.sort(np.argpartition(-light, self.limit - 1, axis=1)[:, : self.limit], axis=1)
        return merged.at(at), np.take_along_axis(features, at[..., None], axis=1)

    def _by_right(self, light: Floats, uncounted: Bools) -> None:
        """Put the best of the ``uncounted`` [B, N] before all others."""
        places = min(round(UNCOUNTED * self.limit), light.shape[1])
        at = np.argpartition(-np.where(uncounted, light, -np.inf), places - 1, axis=1)[:, :places]
        own = np.take_along_axis(uncounted, at, axis=1)
        np.put_along_axis(light, at, np.where(own, np.inf, np.take_along_axis(light, at, axis=1)), axis=1)
