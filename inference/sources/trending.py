"""What all shoppers like lately: the same for everybody, and the answer for whom we know nothing of."""

import numpy as np

from contracts.items import Rows
from inference.ask import View
from inference.sources import top_rows


class Trending:
    """The items of the highest decayed counts; where nobody did anything yet, the newest come first."""

    name = "trending"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        newest = view.table.added_ms / np.float64(1e16)  # decides only between equals
        scores = np.where(view.offered, np.log1p(view.statistics.trending()) + newest, -np.inf)
        return np.tile(top_rows(scores[None, :], limit).rows, (len(view), 1))

    def explain(self, view: View, shopper: int, row: int) -> str:
        """See ``Source``."""
        return "Popular right now"
