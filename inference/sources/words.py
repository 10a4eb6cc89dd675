"""What shares rare words, brand, category or attributes with the last items. Needs no model and no clicks."""

from collections.abc import Sequence

import numpy as np

from contracts.items import NO_ROW, Rows
from contracts.postings import ANCHORS
from contracts.statistics import kernel
from contracts.terms import closest
from inference.ask import View
from inference.nearest import top_rows
from inference.sources import Shoppers


class Words:
    """The items of the greatest cosine of terms to the last items, weighted by recency; from an inverted index."""

    name = "words"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        recent = view.recent[:, :ANCHORS]
        weights = kernel(recent.shape[1]).astype(np.float32)
        step = view.postings.groups(len(view))
        for start in range(0, len(view), step):
            scores = view.postings.scores(recent[start : start + step], weights)
            found = top_rows(np.where(view.offered & (scores > 0.0), scores, -np.inf), limit)
            rows[start : start + step, : found.shape[1]] = found
        return rows

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        anchors = closest(view.table.terms, view.recent[shoppers], rows)
        return [f"Much like “{view.title(anchor)}”, which you looked at" for anchor in anchors.tolist()]
