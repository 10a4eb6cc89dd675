"""What a slate is asked for with, and one batch of asks as the stages see it."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from contracts.events import ItemId, RecommendationId
from contracts.features import Integers, gather
from contracts.items import CATEGORY_LEVELS, Bools, Floats, ItemTable, Rows
from contracts.messages import Trigger
from contracts.postings import Postings
from contracts.profile import Profile
from contracts.statistics import Statistics, kernel, sequence_rows
from contracts.surfaces import HOME
from inference.rules.book import RuleBook
from inference.rules.ruling import Ruling


class Wish(NamedTuple):
    """What a slate may hold: of a category (any level, by name), between two prices, and none of ``exclude``."""

    category: str = ""
    min_price: float | None = None
    max_price: float | None = None
    exclude: tuple[ItemId, ...] = ()


class Ask(NamedTuple):
    """One slate, please: for this shopper, because of this event."""

    profile: Profile
    trigger: Trigger
    surface: str = HOME
    limit: int | None = None
    wish: Wish | None = None


class View:
    """One batch of asks beside the catalogue and the statistics. Everything is computed at most once."""

    def __init__(
        self,
        asks: Sequence[Ask],
        ids: Sequence[RecommendationId],
        table: ItemTable,
        statistics: Statistics,
        postings: Postings,
        rules: RuleBook | None = None,
    ) -> None:
        self.asks, self.ids = asks, ids
        self.table, self.statistics, self.postings = table, statistics, postings
        self._rules = rules or RuleBook(table)

    def __len__(self) -> int:
        return len(self.asks)

    @cached_property
    def profiles(self) -> list[Profile]:
        """[B]: without consent only an empty profile is seen, so that nothing personal can leak into a slate."""
        return [Profile(a.profile.user_id) if a.profile.consent is False else a.profile for a in self.asks]

    @cached_property
    def nows_ms(self) -> Integers:
        """[B]: the time of the event that asks."""
        return np.array([ask.trigger.time_ms for ask in self.asks], np.int64)

    @cached_property
    def ruling(self) -> Ruling:
        """The shop's rules that are in force for these asks."""
        return Ruling(self._rules, self.nows_ms, [ask.surface for ask in self.asks])

    @cached_property
    def recent(self) -> Rows:
        """[B, L]: rows of each shopper's last distinct items, newest first, -1 for padding."""
        return sequence_rows(self.table, self.profiles)

    @cached_property
    def taste(self) -> Floats:
        """[B, text_dim]: the last items' text vectors, weighted by recency; zeros for a new shopper."""
        vectors = gather(self.table.text_vectors, self.recent)
        return np.asarray(np.einsum("blt,l->bt", vectors, kernel(self.recent.shape[1])), np.float32)

    @property
    def offered(self) -> Bools:
        """[rows]: in the catalogue and in stock.

        An item whose text waits for its vector is offered all the same: the model reads it as one without words.
        """
        return self.table.available

    @cached_property
    def embedded(self) -> Bools:
        """[rows]: offered, and the model has a vector for it."""
        return np.asarray(self.offered & self.table.has_vector)

    @cached_property
    def readable(self) -> Bools:
        """[rows]: offered, and there is a vector of its text."""
        return np.asarray(self.offered & (self.table.text_lengths > 0))

    def category(self, row: int) -> str:
        """What to call the narrowest category of an item in a reason."""
        item = self.table.items[row]
        return item.category[:CATEGORY_LEVELS][-1] if item and item.category else "this category"

    def title(self, row: int) -> str:
        """What to call an item in a reason."""
        item = self.table.items[row] if row >= 0 else None
        return (item.title or item.item_id) if item else "an item"
