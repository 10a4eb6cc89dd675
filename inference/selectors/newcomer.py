"""One place of a slate for what is new: an item that nobody has clicked yet cannot earn its place by clicks.

A model that has learned from clicks ranks it below what it knows, whatever it is like; so the best new candidate takes
the last place of a slate in which no new item stands. Its source and its score stay as they are.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.items import Bools, Rows
from contracts.settings import EngineSettings
from inference.ask import View
from inference.selectors import Selection, Selector

HOUR_MS = 3_600_000


class Newcomer:
    """Another selector's slates, the last place given to the best item added within ``new_hours`` of the event."""

    def __init__(self, inner: Selector, settings: EngineSettings) -> None:
        self._inner = inner
        self._span_ms = settings.new_hours * HOUR_MS

    def select(self, view: View, rows: Rows, values: NDArray[np.float64], size: int) -> Selection:
        """See ``Selector``. What stands there by right of being new is there for certain: propensity 1."""
        chosen = self._inner.select(view, rows, values, size)
        new = self._new(view, rows) & np.isfinite(values)
        every = np.arange(len(rows))
        there = (np.take_along_axis(new, np.maximum(chosen.picks, 0), axis=1) & (chosen.picks >= 0)).any(axis=1)
        last = (chosen.picks >= 0).sum(axis=1) - 1
        given = every[new.any(axis=1) & ~there & (last > 0)]
        best = np.where(new, values, -np.inf).argmax(axis=1)
        chosen.picks[given, last[given]] = best[given]
        chosen.propensities[given, last[given]] = 1.0
        return chosen

    def _new(self, view: View, rows: Rows) -> Bools:
        """[B, N]: added lately, as of the event that asks."""
        added = view.table.added_ms[rows]
        ages = np.abs(view.nows_ms[:, None] - added)  # an item may be added a moment after the event that asks
        return np.asarray((rows >= 0) & (added > 0) & (ages < self._span_ms))
