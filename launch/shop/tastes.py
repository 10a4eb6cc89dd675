"""What a shopper likes: hidden, drifting, and nowhere in any event or item.

A taste turns traits into utilities. ``Taste.appeal`` is the chance that a shopper who looks at an item clicks it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from launch.shop.products import Scores, Traits

DRIFT = 0.12  # standard deviation of one session's drift of each liking
CHANGE = 0.04  # chance that a session starts with a quite different interest

DEPARTMENT_WORTH = 3.0
LEAF_WORTH = 1.5
STYLE_WORTH = 1.6
BRAND_WORTH = 0.9
PRICE_WORTH = 1.2
QUALITY_WORTH = 0.5
MISSION_WORTH = 1.0
PRICE_WIDTH = 0.3
RESERVE = 8.5  # the utility at which half of those who look click


class Sizes(NamedTuple):
    """How many departments, leaves, styles, brands there are."""

    departments: int
    leaves: int
    styles: int
    brands: int


class Taste(NamedTuple):
    """One shopper's likings. ``departments`` are logits; ``leaves``, ``styles``, ``brands`` 0..1; ``price`` 0..1."""

    departments: Scores
    leaves: Scores
    styles: Scores
    brands: Scores
    price: float

    @classmethod
    def draw(cls, sizes: Sizes, rng: Generator) -> "Taste":
        """A new shopper's taste: a few departments, one or two styles, some brands, a price level."""
        return cls(
            departments=rng.normal(0.0, 1.5, sizes.departments),
            leaves=rng.random(sizes.leaves),
            styles=rng.beta(0.5, 1.0, sizes.styles),
            brands=rng.beta(0.3, 1.0, sizes.brands),
            price=rng.beta(1.5, 1.5),
        )

    def shares(self) -> Scores:
        """[departments]: how the shopper's interest is divided; sums to 1."""
        raised = np.exp(self.departments - self.departments.max())
        return np.asarray(raised / raised.sum())

    def drifted(self, rng: Generator) -> "Taste":
        """The taste at the next session: a little different; rarely, one department more is loved."""
        departments = self.departments + rng.normal(0.0, DRIFT, len(self.departments))
        if rng.random() < CHANGE:
            departments[rng.integers(len(departments))] = departments.max()
        return self._replace(departments=departments, styles=_nudged(self.styles, rng))

    def utility(self, traits: Traits, mission: int) -> Scores:
        """[products]: how much the shopper wants each, now that they came for the leaf ``mission``."""
        share = self.shares()
        interest = (share / share.max())[traits.department]
        price = np.exp(-(((traits.tier - self.price) / PRICE_WIDTH) ** 2))
        return np.asarray(
            interest * (DEPARTMENT_WORTH + LEAF_WORTH * self.leaves[traits.leaf])
            + STYLE_WORTH * self.styles[traits.style]
            + BRAND_WORTH * self.brands[traits.brand]
            + PRICE_WORTH * price
            + QUALITY_WORTH * traits.quality
            + MISSION_WORTH * (traits.leaf == mission)
        )


def chance(utility: float, reserve: float = RESERVE) -> float:
    """The logistic choice: 1/2 where the utility is the reserve."""
    return 1.0 / (1.0 + math.exp(reserve - utility))


def _nudged(likings: Scores, rng: Generator) -> Scores:
    return np.clip(likings + rng.normal(0.0, DRIFT / 2, len(likings)), 0.0, 1.0)
