"""What goes together: what other shoppers turned to after the items that this one looked at. Learned live."""

import numpy as np

from contracts.items import NO_ROW, Rows
from contracts.statistics import kernel
from inference.ask import View


class Follows:
    """The strongest followers of the last items, weighted by recency."""

    name = "goes-together"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        keys, scores = view.statistics.followers(view.recent, kernel(view.recent.shape[1]), view.nows_ms)
        if not len(keys):
            return rows
        shopper, row = np.divmod(keys, len(view.table))
        order = np.lexsort((row, -scores, shopper))
        shopper, row = shopper[order], row[order]
        rank = np.arange(len(shopper)) - np.searchsorted(shopper, shopper)
        kept = rank < limit
        rows[shopper[kept], rank[kept]] = row[kept]
        return rows

    def explain(self, view: View, shopper: int, row: int) -> str:
        """See ``Source``."""
        anchor = view.statistics.strongest(view.recent[shopper], row)
        return f"Goes with “{view.name(anchor)}”" if anchor != NO_ROW else "Goes with what you looked at"
