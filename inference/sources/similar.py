"""What reads alike: items whose text is near to that of the shopper's last items."""

from collections.abc import Sequence

import numpy as np

from contracts.features import gather
from contracts.items import NO_ROW, Rows
from inference.ask import View
from inference.nearest import nearest
from inference.sources import Shoppers


class Similar:
    """The nearest texts to the recency-weighted mean of the last items' texts: exact, over the whole catalogue."""

    name = "similar"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        known = np.flatnonzero(view.taste.any(axis=1))  # the others have nothing to be similar to
        found = nearest(view.taste[known], view.table.text_vectors, view.readable, limit)
        rows[known, : found.shape[1]] = found
        return rows

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        texts, recent = view.table.text_vectors, view.recent[shoppers]
        near = np.einsum("mlt,mt->ml", gather(texts, recent), gather(texts, rows))
        best = np.where(recent >= 0, near, -np.inf).argmax(axis=1)
        anchors = recent[np.arange(len(recent)), best]
        return [f"Similar to “{view.title(anchor)}”, which you looked at" for anchor in anchors.tolist()]
