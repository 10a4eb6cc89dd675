"""What a store of profiles, and a store of what all shoppers teach, must do."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from contracts.events import ItemId, UserId
from contracts.profile import Profile
from contracts.statistics import Increments


class ProfileKey(NamedTuple):
    """One Kafka partition is one slot of the store, so a batch is one node's work."""

    partition: int
    user: UserId


class Write(NamedTuple):
    """A profile to save, if the store still holds ``expected`` (0: nothing)."""

    key: ProfileKey
    profile: Profile
    expected: int


class ProfileStore(Protocol):
    """Profiles with compare-and-set. Raises: StoreUnavailable where the store is away."""

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        """The profiles, in order; None where there is none. One round trip."""

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """Save each whose expected version is the store's; False where it is not. One round trip."""

    async def on_disk(self) -> None:
        """Return once every save that returned before this call survives a crash of the store."""

    async def delete(self, keys: Sequence[ProfileKey]) -> None:
        """Remove profiles."""

    async def close(self) -> None:
        """Let go of connections."""


class Followers(NamedTuple):
    """What follows an item, with inflated weights."""

    item: ItemId
    weights: tuple[tuple[ItemId, float], ...]


class Changes(NamedTuple):
    """What all workers taught since a cursor: whole rows of the items that changed, and the whole trend."""

    followers: tuple[Followers, ...]
    trend: tuple[tuple[ItemId, float], ...]
    latest_ms: int
    cursor: int


class StatisticsStore(Protocol):
    """Counts that all workers share. Raises: StoreUnavailable."""

    async def flush(self, increments: Increments) -> None:
        """Add to everybody's counts. Increments commute; a lost flush is lost knowledge, never a wrong profile."""

    async def changes(self, cursor: int) -> Changes:
        """What changed since ``cursor`` (0: everything), in bounded pages: call until the cursor stands still."""
