"""The same stores in memory, for tests, notebooks and a single process that may forget. Nothing expires here."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence

from contracts.codec import decode_profile, encode_profile
from contracts.events import ItemId
from contracts.profile import Profile
from contracts.statistics import NEIGHBOURS, Increments
from streams.store.protocol import (
    CHANGES_KEPT,
    FOLLOWERS_KEPT,
    PAGE,
    TRENDS_KEPT,
    Changes,
    Followers,
    ProfileKey,
    Weighted,
    Write,
    changed_items,
)  # fmt: skip


class MemoryProfiles:
    """``ProfileStore`` in a dictionary, as bytes, so that what comes out is what Redis would give."""

    def __init__(self) -> None:
        self._values: dict[ProfileKey, tuple[int, bytes]] = {}

    async def check(self) -> None:
        """Memory is always there."""

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        """See ``ProfileStore``."""
        found = (self._values.get(key) for key in keys)
        return [None if value is None else decode_profile(value[1]) for value in found]

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """See ``ProfileStore``."""
        return [self._save(write) for write in writes]

    async def delete(self, keys: Sequence[ProfileKey]) -> int:
        """See ``ProfileStore``."""
        return sum(self._values.pop(key, None) is not None for key in keys)

    async def on_disk(self) -> None:
        """There is no disk: what was saved is as safe as it will be."""

    async def scan(self) -> AsyncIterator[ProfileKey]:
        """See ``ProfileStore``."""
        for key in tuple(self._values):
            yield key

    async def close(self) -> None:
        """Nothing to disconnect."""

    def _save(self, write: Write) -> bool:
        version, _ = self._values.get(write.key, (0, b""))
        if version != write.expected_version:
            return False
        self._values[write.key] = (write.profile.version, encode_profile(write.profile))
        return True


class MemoryStatistics:
    """``StatisticsStore`` in dictionaries."""

    def __init__(self) -> None:
        self._followers: defaultdict[ItemId, dict[ItemId, float]] = defaultdict(dict)
        self._trend: dict[ItemId, float] = {}
        self._changed: dict[ItemId, int] = {}  # ordered by the number, because a changed item is put at the end
        self._sequence = 0
        self._latest_ms = 0

    async def flush(self, increments: Increments) -> None:
        """See ``StatisticsStore``."""
        for item, followers in increments.pairs.items():
            self._followers[item] = _added(self._followers[item], followers.items(), FOLLOWERS_KEPT)
        self._trend = _added(self._trend, increments.trend.items(), TRENDS_KEPT)
        self._latest_ms = max(self._latest_ms, increments.latest_ms)
        for item in changed_items(increments):
            self._mark(item)

    async def changes(self, cursor: str | None, page: int = PAGE, neighbours: int = NEIGHBOURS) -> Changes:
        """See ``StatisticsStore``."""
        since = int(cursor or 0)
        newer = [(item, number) for item, number in self._changed.items() if number > since]
        shown = newer[:page]
        return Changes(
            tuple(Followers(item, strongest(self._followers.get(item, {}), neighbours)) for item, _ in shown),
            tuple(Weighted(item, self._trend[item]) for item, _ in shown if item in self._trend),
            self._latest_ms,
            str(shown[-1][1] if shown else since),
            len(newer) <= page,
        )

    async def close(self) -> None:
        """Nothing to disconnect."""

    def _mark(self, item: ItemId) -> None:
        self._sequence += 1
        self._changed.pop(item, None)
        self._changed[item] = self._sequence
        if len(self._changed) > CHANGES_KEPT:
            del self._changed[next(iter(self._changed))]


def strongest(weights: dict[ItemId, float], limit: int) -> tuple[Weighted, ...]:
    """The heaviest first; equal weights in Redis's order, the later name first."""
    ordered = sorted(weights.items(), key=lambda pair: (pair[1], pair[0].encode()), reverse=True)
    return tuple(Weighted(item, weight) for item, weight in ordered[:limit])


def _added(sums: dict[ItemId, float], more: Iterable[tuple[ItemId, float]], limit: int) -> dict[ItemId, float]:
    for item, weight in more:
        sums[item] = sums.get(item, 0.0) + weight
    return sums if len(sums) <= limit else dict(strongest(sums, limit))
