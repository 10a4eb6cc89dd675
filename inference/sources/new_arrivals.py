"""What is new in the shop, nearest to the shopper's taste first: how an item without clicks gets its first ones."""

from collections.abc import Sequence

import numpy as np

from contracts.items import NO_ROW, Rows
from inference.ask import View
from inference.nearest import top_rows
from inference.sources import Shoppers

NEWEST = 200


class NewArrivals:
    """The newest ``NEWEST`` items, by similarity to the last items; by age for a new shopper."""

    name = "new"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        added = view.table.added_ms
        newest = top_rows(np.where(view.offered & (added > 0), added.astype(np.float64), -np.inf)[None, :], NEWEST)[0]
        newest = newest[newest >= 0]
        if not len(newest):
            return np.full((len(view), 0), NO_ROW, np.int32)
        by_age = np.arange(len(newest)) * np.float32(-1e-6)  # between equals, and where no taste is known
        near = top_rows(view.taste @ view.table.text_vectors[newest].T + by_age, limit)
        return np.asarray(newest[near], np.int32)

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        return ["New in the shop"] * len(rows)
