"""What is new in the shop, nearest to the shopper's taste first: how an item without clicks gets its first ones."""

import numpy as np

from contracts.items import NO_ROW, Rows
from inference.ask import View
from inference.sources import top_rows

NEWEST = 200


class NewArrivals:
    """The newest ``NEWEST`` items, by similarity to the last items; by age for a new shopper."""

    name = "new"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        dated = np.where(view.offered & (view.table.added_ms > 0), view.table.added_ms.astype(np.float64), -np.inf)
        newest = top_rows(dated[None, :], NEWEST).rows[0]
        newest = newest[newest >= 0]
        if not len(newest):
            return np.full((len(view), 0), NO_ROW, np.int32)
        by_age = -np.arange(len(newest)) * 1e-6  # decides between equals, and for whom nothing is known
        near = top_rows(view.taste @ view.text_vectors[newest].T + by_age, limit).rows
        return np.asarray(newest[near], np.int32)

    def explain(self, view: View, shopper: int, row: int) -> str:
        """See ``Source``."""
        return "New in the shop"
