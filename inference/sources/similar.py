"""What reads alike: items whose text is near to that of the shopper's last items."""

import numpy as np

from contracts.items import Rows
from inference.ask import View
from inference.sources import top_rows


class Similar:
    """The nearest texts to the recency-weighted mean of the last items' texts: exact, over the whole catalogue."""

    name = "similar"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        scores = np.where(view.offered, view.taste @ view.text_vectors.T, -np.inf)
        scores[~view.taste.any(axis=1)] = -np.inf  # nothing to be similar to
        return top_rows(scores, limit).rows

    def explain(self, view: View, shopper: int, row: int) -> str:
        """See ``Source``."""
        known = view.recent[shopper][view.recent[shopper] >= 0]
        nearest = int(known[np.argmax(view.text_vectors[known] @ view.text_vectors[row])])
        return f"Similar to “{view.name(nearest)}”"
