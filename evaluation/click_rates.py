"""Click rates of two arms and what may be said of their difference, without a library of statistics.

Shoppers are drawn into arms, and one shopper sees many lists, which are alike: lists are no independent draws. So the
count of lists is divided by the design effect (Kish), the measured variance between shoppers over the binomial one,
before Wilson's interval is taken of it; Newcombe's difference (1998, method 10) and the ratio by MOVER-R (Donner and
Zou, 2012) are made of Wilson's ends.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

Z = 1.959964  # 95%, both sides
LEAST = 10  # shoppers, lists clicked, lists not clicked, of each arm


class Interval(NamedTuple):
    """A figure and its 95% interval; ``high`` None: no upper end."""

    value: float
    low: float
    high: float | None


class Rate(NamedTuple):
    """One arm: lists shown, how many of them were clicked, by how many shoppers, its rate and its design effect."""

    lists: int
    clicked: int
    shoppers: int
    interval: Interval
    effect: float

    @classmethod
    def of(cls, shown: Sequence[int], clicked: Sequence[int]) -> "Rate":
        """Of lists ``shown`` to and ``clicked`` by each shopper, both [shoppers]."""
        s, c = np.asarray(shown, float), np.asarray(clicked, float)
        lists, hits = float(s.sum()), float(c.sum())
        effect = design_effect(s, c)
        return cls(int(lists), int(hits), len(s), wilson(hits / lists if lists else 0.0, lists / effect), effect)

    @property
    def enough(self) -> bool:
        """Whether the arm says anything."""
        return min(self.shoppers, self.clicked, self.lists - self.clicked) >= LEAST


def design_effect(shown: "np.ndarray[tuple[int], np.dtype[np.float64]]",
                  clicked: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:  # fmt: skip
    """How many lists of these shoppers weigh as much as one independent list; at least 1.

    Where nothing varies, or there is one shopper, as if all lists of a shopper were the same list.
    """
    lists, shoppers = float(shown.sum()), len(shown)
    if not lists:
        return 1.0
    rate = float(clicked.sum()) / lists
    if shoppers < 2 or not 0 < rate < 1:
        return max(1.0, float(np.square(shown).sum()) / lists)
    between = shoppers / (shoppers - 1) * float(np.square(clicked - rate * shown).sum()) / lists**2
    return max(1.0, between / (rate * (1 - rate) / lists))


def wilson(rate: float, count: float) -> Interval:
    """Wilson's interval of a rate over ``count`` independent draws; the whole of 0..1 where there are none."""
    if count <= 0:
        return Interval(0.0, 0.0, 1.0)
    spread = Z * Z / count
    middle = (rate + spread / 2) / (1 + spread)
    half = Z * sqrt(rate * (1 - rate) / count + spread / (4 * count)) / (1 + spread)
    return Interval(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))


def difference(ours: Interval, theirs: Interval) -> Interval:
    """Newcombe's interval of ``ours`` less ``theirs``."""
    value = ours.value - theirs.value
    below = sqrt((ours.value - ours.low) ** 2 + (_end(theirs) - theirs.value) ** 2)
    above = sqrt((_end(ours) - ours.value) ** 2 + (theirs.value - theirs.low) ** 2)
    return Interval(value, max(-1.0, value - below), min(1.0, value + above))


def ratio(ours: Interval, theirs: Interval) -> Interval | None:
    """The interval of ``ours`` over ``theirs`` by MOVER-R; None where theirs is 0."""
    if not theirs.value:
        return None
    p, q = ours.value, theirs.value
    low = _mover(p, q, ours.low, _end(theirs), -1)
    high = _mover(p, q, _end(ours), theirs.low, +1) if theirs.low > 0 else None
    return Interval(p / q, max(0.0, low), high)


def _mover(p: float, q: float, mine: float, other: float, sign: int) -> float:
    inside = (p * q) ** 2 - mine * other * (2 * p - mine) * (2 * q - other)
    return (p * q + sign * sqrt(max(0.0, inside))) / (other * (2 * q - other))


def _end(of: Interval) -> float:
    return 1.0 if of.high is None else of.high


def conclusion(ours: Rate, theirs: Rate) -> str:
    """What may be said, in one sentence."""
    lacking = [name for name, arm in (("daogou", ours), ("control", theirs)) if not arm.enough]
    if lacking:
        return (
            f"Too little data to compare ({' and '.join(lacking)}): each arm needs {LEAST} shoppers, {LEAST} lists "
            f"that were clicked and {LEAST} that were not."
        )
    found = difference(ours.interval, theirs.interval)
    if found.low > 0:
        return "daogou's slates are clicked more often than the control's lists."
    if found.high is not None and found.high < 0:
        return "daogou's slates are clicked less often than the control's lists."
    return "No difference can be told yet: the interval has 0 in it."
