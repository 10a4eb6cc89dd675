"""What a slate is asked for with, and one batch of asks as the stages see it."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from contracts.events import RecommendationId
from contracts.features import Integers, gather
from contracts.items import Bools, Floats, ItemTable, Rows
from contracts.messages import Trigger
from contracts.profile import Profile
from contracts.statistics import Statistics, kernel, sequence_rows


class Ask(NamedTuple):
    """One slate, please: for this shopper, because of this event."""

    profile: Profile
    trigger: Trigger
    surface: str = "home"
    limit: int | None = None


class View:
    """One batch of asks beside the catalogue and the statistics. Everything is computed at most once."""

    def __init__(
        self,
        asks: Sequence[Ask],
        ids: Sequence[RecommendationId],
        table: ItemTable,
        statistics: Statistics,
        text_dim: int,
    ) -> None:
        self.asks, self.ids = asks, ids
        self.table, self.statistics = table, statistics
        self._text_dim = text_dim

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
    def recent(self) -> Rows:
        """[B, L]: rows of each shopper's last distinct items, newest first, -1 for padding."""
        return sequence_rows(self.table, self.profiles)

    @cached_property
    def taste(self) -> Floats:
        """[B, text_dim]: the last items' text vectors, weighted by recency; zeros for a new shopper."""
        vectors = gather(self.text_vectors, self.recent)
        return np.asarray(np.einsum("blt,l->bt", vectors, kernel(self.recent.shape[1])), np.float32)

    @property
    def text_vectors(self) -> Floats:
        """[rows, text_dim]: unit vectors of the items' text; zeros where there is none."""
        return self.table.vectors[:, : self._text_dim]

    @cached_property
    def offered(self) -> Bools:
        """[rows]: in stock and scoreable."""
        return np.asarray(self.table.available & self.table.has_vector)

    def name(self, row: int) -> str:
        """What to call an item in a reason."""
        item = self.table.items[row]
        return (item.title or item.item_id) if item else "an item"
