"""What a shop asks of the catalogue itself: what is like an item, what trends, what is meant by some words.

On the engine's thread, over the arrays that the engine keeps.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contracts.events import ItemId
from contracts.items import Bools, Floats, ItemTable
from contracts.messages import CatalogueItem
from contracts.postings import Postings
from contracts.runs import sums_of_runs
from contracts.statistics import Statistics
from contracts.terms import BUCKETS, terms_of
from inference.encoder import Encoder
from inference.nearest import top_rows

MEANING = 1.0  # of the encoder's cosine beside that of the terms
LIKED = 0.05  # of log1p of the trend: between items that fit alike


class Found(NamedTuple):
    """An item and how well it fits."""

    item: CatalogueItem
    score: float


class Browse:
    """Over one table; ``encoder`` None: words only."""

    def __init__(self, table: ItemTable, statistics: Statistics, postings: Postings, encoder: Encoder | None) -> None:
        self._table, self._statistics, self._postings, self._encoder = table, statistics, postings, encoder

    def similar(self, item_id: ItemId, limit: int) -> list[Found]:
        """The items most like an available or deleted one in words, category, brand, attributes and meaning."""
        rows = self._table.rows([item_id])
        if rows[0] < 0:
            return []
        words = self._postings.scores(rows[None, :], np.ones(1, np.float32))[0]
        scores = words + MEANING * self._meant(self._table.text_vectors[rows[0]])
        scores[rows[0]] = -np.inf
        return self._best(scores, self._table.available, limit)

    def categories(self) -> list[tuple[str, int]]:
        """The widest categories of what is available, the fullest first, and how many items each has."""
        found = Counter(
            item.category[0]
            for item, there in zip(self._table.items, self._table.available.tolist(), strict=True)
            if there and item is not None and item.category
        )
        return found.most_common()

    def trending(self, category: str, limit: int) -> list[Found]:
        """What is clicked and bought most lately, of a category or of all."""
        allowed = self._table.available & (self._table.in_category(category) if category else True)
        return self._best(self._trend(), allowed, limit)

    def search(self, query: str, limit: int) -> list[Found]:
        """What shares rare words with the query, or means the same; the better liked first among equals.

        Raises: ModelUnavailable.
        """
        words = self._shared(terms_of(CatalogueItem(item_id="query", title=query)))
        meant = self._meant(self._encoder.encode([query])[0]) if self._encoder is not None else np.zeros_like(words)
        fits = self._table.available & ((words > 0.0) | (meant > (0.5 if words.any() else 0.0)))
        return self._best(words + MEANING * meant + LIKED * self._trend(), fits, limit)

    def _shared(self, buckets: Sequence[int]) -> Floats:
        """[rows]: the cosine of each item's terms to ``buckets``."""
        terms, size = self._table.terms, len(self._table)
        asked = terms.weighed(np.array([len(buckets)]), np.array(buckets, np.int32))
        taste = np.zeros(BUCKETS, np.float32)
        taste[asked.buckets] = asked.weights
        there = terms.of(np.arange(size, dtype=np.int32))
        return sums_of_runs(taste[there.buckets] * there.weights, there.lengths)

    def _meant(self, vector: Floats) -> Floats:
        """[rows]: cosine of each item's text to a text's vector."""
        return np.asarray(self._table.text_vectors @ vector, np.float32)

    def _trend(self) -> Floats:
        trend = self._statistics.trending()
        highest = trend.max(initial=0.0)
        return np.asarray(np.log1p(trend / highest * 100.0) if highest > 0.0 else np.zeros(len(trend)), np.float32)

    def _best(self, scores: Floats, allowed: Bools, limit: int) -> list[Found]:
        rows = top_rows(np.where(allowed, scores, -np.inf)[None, :].astype(np.float64), limit)[0]
        items = [(self._table.items[row], float(scores[row])) for row in rows.tolist() if row >= 0]
        return [Found(item, score) for item, score in items if item is not None]
