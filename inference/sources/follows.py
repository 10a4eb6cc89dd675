"""What goes together: what other shoppers turned to after the items that this one looked at. Learned live."""

from collections.abc import Sequence

import numpy as np

from contracts.items import NO_ROW, Rows
from contracts.statistics import kernel
from inference.ask import View
from inference.sources import Shoppers


class Follows:
    """The strongest followers of the last items, weighted by recency."""

    name = "goes-together"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        keys, scores = view.statistics.followers(view.recent, kernel(view.recent.shape[1]), view.nows_ms)
        shopper, row = np.divmod(keys, len(view.table))
        known = view.offered[row]
        shopper, row, scores = shopper[known], row[known], scores[known]
        order = np.lexsort((row, -scores, shopper))
        shopper, row = shopper[order], row[order]
        rank = np.arange(len(shopper)) - np.searchsorted(shopper, shopper)
        best = rank < limit
        rows[shopper[best], rank[best]] = row[best]
        return rows

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        anchors = view.statistics.strongest(view.recent[shoppers], rows)
        return [f"Goes with “{view.title(anchor)}”, which you looked at" for anchor in anchors.tolist()]
