"""Which items share terms with what a shopper looked at: an inverted index of the catalogue, scored exactly.

The index is made anew when enough of the catalogue has changed; until then a changed item is found by its old terms,
and by the other sources. Terms of more than ``MOST`` items are left out: they say little and cost most.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.items import Floats, ItemTable, Rows
from contracts.runs import numbers_of_runs
from contracts.terms import BUCKETS

MOST = 500
ANCHORS = 5  # last items that are asked for: those before them weigh less than a tenth of the last one
CHANGED = 0.02  # of the rows
AT_ONCE = 1 << 21  # cells of scores in memory at one time


class Postings:
    """For each bucket the rows that have it, and how much it weighs there."""

    def __init__(self, table: ItemTable) -> None:
        self.table = table
        self._made_at = -1
        self._starts = np.zeros(BUCKETS + 1, np.int64)
        self._rows = np.zeros(0, np.int32)
        self._weights = np.zeros(0, np.float32)

    def scores(self, recent: Rows, weights: Floats) -> Floats:
        """[B, rows]: the sum over ``recent`` [B, L] of ``weights`` [L] times the terms' cosine."""
        self._refresh()
        terms = self.table.terms.of(recent)
        shoppers, places = np.divmod(terms.owners(), max(1, recent.shape[1]))
        return self._sums(len(recent), shoppers, terms.buckets, terms.weights * weights[places])

    def groups(self, shoppers: int) -> int:
        """How many shoppers to ask for at one time."""
        return max(1, min(shoppers, AT_ONCE // max(1, len(self.table))))

    def _sums(self, count: int, shoppers: NDArray[np.int64], buckets: Rows, values: Floats) -> Floats:
        lengths = self._starts[buckets + 1] - self._starts[buckets]
        of, at = np.repeat(np.arange(len(buckets)), lengths), numbers_of_runs(self._starts[buckets], lengths)
        size = len(self.table)
        keys = shoppers[of] * size + self._rows[at]
        sums = np.bincount(keys, values[of] * self._weights[at], minlength=count * size)
        return np.asarray(sums.reshape(count, size), np.float32)

    def _refresh(self) -> None:
        terms = self.table.terms
        if self._made_at >= 0 and terms.changes - self._made_at <= CHANGED * len(self.table):
            return
        self._made_at = terms.changes
        every = terms.of(np.arange(len(self.table), dtype=np.int32))
        kept = np.flatnonzero(terms.frequency[every.buckets] <= MOST)
        order = kept[np.argsort(every.buckets[kept], kind="stable")]
        self._rows = every.owners()[order].astype(np.int32)
        self._weights = every.weights[order]
        self._starts = np.searchsorted(every.buckets[order], np.arange(BUCKETS + 1))
