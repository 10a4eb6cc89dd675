"""The shop's rules in the order of a slate: values weighed before another selector, pins placed after it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contracts.items import Rows
from inference.ask import View
from inference.selectors import Selection, Selector


class Ruled:
    """Another selector's slates under the rules in force; without any, just those."""

    def __init__(self, inner: Selector) -> None:
        self._inner = inner

    def select(self, view: View, rows: Rows, values: NDArray[np.float64], size: int) -> Selection:
        """See ``Selector``. What is pinned stands there for certain: propensity 1."""
        ruling = view.ruling
        if not ruling:
            return self._inner.select(view, rows, values, size)
        weighed = ruling.weigh(rows, values)
        chosen = self._inner.select(view, rows, ruling.offered(rows, weighed), size)
        for shopper, places in enumerate(ruling.pins(rows, weighed)):
            if places:
                _place(chosen, shopper, places)
        return chosen


def _place(chosen: Selection, shopper: int, places: Mapping[int, int]) -> None:
    """Put the columns of ``places`` (from 1) where they belong; the others keep their order around them."""
    picks, chances = chosen.picks[shopper], chosen.propensities[shopper]
    pinned = set(places.values())
    slots = [
        slot for slot in zip(picks.tolist(), chances.tolist(), strict=True) if slot[0] >= 0 and slot[0] not in pinned
    ]
    for place, column in sorted(places.items()):
        slots.insert(place - 1, (column, 1.0))
    for slot, (pick, chance) in enumerate(slots[: len(picks)]):
        picks[slot], chances[slot] = pick, chance
