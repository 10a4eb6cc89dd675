"""What all shoppers like lately: the same for everybody, and the answer for whom we know nothing of."""

from collections.abc import Sequence

import numpy as np

from contracts.items import Rows
from inference.ask import View
from inference.filters.wanted import allowed
from inference.nearest import top_rows
from inference.sources import Shoppers


class Trending:
    """The items of the highest decayed counts; where nobody did anything yet, the newest come first.

    Who asks for a category or for prices gets the highest of those: all other sources might propose none of them.
    """

    name = "trending"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        newest = view.table.added_ms / 1e16  # below 0.001: decides only between equals
        scores = np.where(view.offered, np.log1p(view.statistics.trending()) + newest, -np.inf)
        rows = np.tile(top_rows(scores[None, :], limit), (len(view), 1))
        for shopper, ask in enumerate(view.asks):
            if ask.wish is not None:
                rows[shopper] = top_rows(np.where(allowed(view, ask.wish), scores, -np.inf)[None, :], limit)[0]
        return rows

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        return ["Popular right now"] * len(rows)
