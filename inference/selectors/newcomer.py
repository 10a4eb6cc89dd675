"""One place in so many for what is new: an item that nobody has clicked yet cannot earn its place by clicks.

A model that has learned from clicks ranks it below what it knows, whatever it is like; so the best new candidate takes
the last place of a slate in which no new item stands, and of each page of a longer one. Its source and its score stay
as they are.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.items import Bools, Rows
from contracts.settings import EngineSettings
from inference.ask import View
from inference.selectors import Selection, Selector

HOUR_MS = 3_600_000


class Newcomer:
    """Another selector's slates, the last place given to the best item added within ``new_hours`` of the event.

    A slate longer than ``slate_size`` is so many pages, and each page has such a place.
    """

    def __init__(self, inner: Selector, settings: EngineSettings) -> None:
        self._inner, self._page = inner, settings.slate_size
        self._span_ms = settings.new_hours * HOUR_MS

    def select(self, view: View, rows: Rows, values: NDArray[np.float64], size: int) -> Selection:
        """See ``Selector``. What stands there by right of being new is there for certain: propensity 1."""
        chosen = self._inner.select(view, rows, values, size)
        left = np.where(self._new(view, rows) & np.isfinite(values), values, -np.inf)
        for start in range(0, chosen.picks.shape[1], self._page):
            self._give(chosen, left, start, start + self._page)
        return chosen

    def _give(self, chosen: Selection, left: NDArray[np.float64], start: int, end: int) -> None:
        """The last place of a page, from what is ``left`` [B, N] of the new ones: the values of all others are -inf.

        Where the best of them stands further on, the two change places.
        """
        page, every = chosen.picks[:, start:end], np.arange(len(left))
        known = np.where(page >= 0, np.take_along_axis(left, np.maximum(page, 0), axis=1), -np.inf)
        last, best = (page >= 0).sum(axis=1) - 1, left.argmax(axis=1)
        lacking = (known == -np.inf).all(axis=1) & (left[every, best] > -np.inf) & (last > 0)
        given, at = every[lacking], start + last[lacking]
        old = chosen.picks[given, at]
        chosen.picks[given] = np.where(chosen.picks[given] == best[given, None], old[:, None], chosen.picks[given])
        chosen.picks[given, at], chosen.propensities[given, at] = best[given], 1.0
        shopper, slot = np.nonzero(chosen.picks[:, start:end] >= 0)
        left[shopper, chosen.picks[shopper, start + slot]] = -np.inf

    def _new(self, view: View, rows: Rows) -> Bools:
        """[B, N]: added lately, as of the event that asks."""
        added = view.table.added_ms[rows]
        ages = np.abs(view.nows_ms[:, None] - added)  # an item may be added a moment after the event that asks
        return np.asarray((rows >= 0) & (added > 0) & (ages < self._span_ms))
