"""What a store promises: the faces that ``memory.py`` and ``redis.py`` both have."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from contracts.events import ItemId, UserId
from contracts.profile import Profile
from contracts.statistics import NEIGHBOURS, Increments

#: Most followers that are kept for an item, most items that trend, most items whose last change is remembered.
FOLLOWERS_KEPT = 200
TRENDS_KEPT = 100_000
CHANGES_KEPT = 1_000_000
PAGE = 500


class ProfileKey(NamedTuple):
    """Whose profile, and the partition of the clickstream that this user's events are in."""

    partition: int
    user: UserId


class Write(NamedTuple):
    """A profile to be saved if the one in the store still has ``expected_version`` (0: if there is none)."""

    key: ProfileKey
    profile: Profile
    expected_version: int


class Weighted(NamedTuple):
    """An item and its weight, inflated as ``contracts.statistics.Decay`` says."""

    item: ItemId
    weight: float


class Followers(NamedTuple):
    """What follows an item, the strongest first."""

    item: ItemId
    followers: tuple[Weighted, ...]


class Changes(NamedTuple):
    """The items that were taught since a cursor, as they are now.

    ``cursor`` goes into the next call. ``complete``: nothing was left out of this page.
    """

    followers: tuple[Followers, ...]
    trend: tuple[Weighted, ...]
    latest_ms: int
    cursor: str
    complete: bool


class ProfileStore(Protocol):
    """Profiles by key, each saved only over the version that it was made from.

    Every method raises StoreUnavailable while the store is away (try again later; a write may have been done) and
    AccessRefused where it refuses us.
    """

    async def check(self) -> None:
        """Whether the store can do all this, at start. Raises: StoreUnavailable, AccessRefused, SettingsRefused."""

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        """The profiles in the order of ``keys``, None where there is none. Raises: Corrupted."""

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """Compare and set each; False where another version is there (load again, fold again). Renews the TTL."""

    async def delete(self, keys: Sequence[ProfileKey]) -> int:
        """Remove profiles, whatever their version. Returns how many there were."""

    async def on_disk(self) -> None:
        """Return once every save that returned before this call is on the store's disk."""

    def scan(self) -> AsyncIterator[ProfileKey]:
        """Every profile's key, in no order; one may come twice, one that is written meanwhile not at all."""

    async def close(self) -> None:
        """Let what is under way end, then disconnect."""


class StatisticsStore(Protocol):
    """Counts that all workers teach together. Errors as those of ``ProfileStore``."""

    async def flush(self, increments: Increments) -> None:
        """Add what a worker learned. If it fails, part of it may have been added: drop it, counts are estimates."""

    async def changes(self, cursor: str | None, page: int = PAGE, neighbours: int = NEIGHBOURS) -> Changes:
        """At most ``page`` items taught since ``cursor`` (None: all), each with its strongest ``neighbours``."""

    async def close(self) -> None:
        """Let what is under way end, then disconnect."""


def changed_items(increments: Increments) -> tuple[ItemId, ...]:
    """The items of which something was learned, each once."""
    return tuple(dict.fromkeys((*increments.pairs, *increments.trend)))
