"""What is popular among its like: the answer to a first click, before anything was learned of the item clicked."""

from collections.abc import Sequence

import numpy as np

from contracts.items import NO_ROW, Rows
from inference.ask import View
from inference.sources import Shoppers

ANCHORS = 3


class Category:
    """The most popular items of the narrowest categories of the last ``ANCHORS`` items, in turns; else the newest."""

    name = "category"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        codes = _codes(view)
        found = np.flatnonzero(view.offered & np.isin(view.table.narrowest, codes[codes > 0]))
        if not len(found):
            return np.full((len(view), 0), NO_ROW, np.int32)
        order = np.lexsort(
            (-view.table.added_ms[found], -view.statistics.trending()[found], view.table.narrowest[found])
        )
        rows = found[order]
        there = view.table.narrowest[rows]
        starts, ends = np.searchsorted(there, codes, "left"), np.searchsorted(there, codes, "right")
        at = starts[:, None, :] + np.arange(-(-limit // ANCHORS))[None, :, None]
        known = (at < ends[:, None, :]) & (codes > 0)[:, None, :]
        picked = np.where(known, rows[np.minimum(at, len(rows) - 1)], NO_ROW)
        return picked.reshape(len(view), -1)[:, :limit].astype(np.int32)

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        return [f"Popular in {view.category(row)}" for row in rows.tolist()]


def _codes(view: View) -> Rows:
    """[B, ANCHORS]: the categories of the last items; 0 where there is none."""
    anchors = view.recent[:, :ANCHORS]
    return np.where(anchors >= 0, view.table.narrowest[anchors], np.int32(0))
