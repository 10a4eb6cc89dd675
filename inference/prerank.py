"""The light order: of all that the sources proposed and the filters left, what is worth the scorer's time.

A weighted sum of the features, as the first stage of a cascade (Wang et al., "A Cascade Ranking Model for Efficient
Ranked Retrieval", SIGIR 2011). The first ``RESERVED`` of each source pass by right: what is new, or proposed by the
model alone, has no sign yet by which the light order could know it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contracts.features import FEATURES
from contracts.items import Floats
from inference.merge import Merged

RESERVED = 3


class Prerank(NamedTuple):
    """``weights`` [F], at most ``limit`` candidates pass."""

    weights: Floats
    limit: int

    @classmethod
    def of(cls, learned: Sequence[float], blend: Mapping[str, float], limit: int) -> "Prerank":
        """By what training learned; by ``blend``, named features, where a bundle has learned nothing."""
        weights = learned or [blend.get(name, 0.0) for name in FEATURES]
        return cls(np.array(weights, np.float32), limit)

    def best(self, merged: Merged, features: Floats, sources: int) -> tuple[Merged, Floats]:
        """The best candidates with their features, in their old order, which is that of the sources' turns."""
        width = merged.rows.shape[1]
        if width <= self.limit:
            return merged, features
        light = features @ self.weights
        light[:, : min(RESERVED * sources, self.limit)] = np.inf
        light = np.where(merged.rows >= 0, np.nan_to_num(light, nan=-1e30, neginf=-1e30), -np.inf)
        at = np.sort(np.argpartition(-light, self.limit - 1, axis=1)[:, : self.limit], axis=1)
        return merged.at(at), np.take_along_axis(features, at[..., None], axis=1)
