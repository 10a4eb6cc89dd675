"""Both stores in this process's memory: for tests, for training on a laptop, for a shop window without Redis."""

from collections import defaultdict
from collections.abc import Sequence

from contracts.codec import decode_profile, encode_profile
from contracts.events import ItemId
from contracts.profile import Profile
from contracts.statistics import Increments
from streams.store.protocol import Changes, Followers, ProfileKey, Write

PAGE = 1000


class MemoryProfiles:
    """Profiles as bytes in a dictionary, so that what is read is never what somebody still holds."""

    def __init__(self) -> None:
        self._blobs: dict[ProfileKey, bytes] = {}

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        """See ``ProfileStore``."""
        return [decode_profile(blob) if (blob := self._blobs.get(key)) else None for key in keys]

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """See ``ProfileStore``."""
        return [self._save(write) for write in writes]

    def _save(self, write: Write) -> bool:
        blob = self._blobs.get(write.key)
        if (decode_profile(blob).version if blob else 0) != write.expected:
            return False
        self._blobs[write.key] = encode_profile(write.profile)
        return True

    async def on_disk(self) -> None:
        """Nothing here survives anything; there is nothing to wait for."""

    async def delete(self, keys: Sequence[ProfileKey]) -> None:
        """See ``ProfileStore``."""
        for key in keys:
            self._blobs.pop(key, None)

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryStatistics:
    """Shared counts in a dictionary, with the sequence of each item's last change."""

    def __init__(self) -> None:
        self._pairs: defaultdict[ItemId, defaultdict[ItemId, float]] = defaultdict(lambda: defaultdict(float))
        self._trend: defaultdict[ItemId, float] = defaultdict(float)
        self._changed: dict[ItemId, int] = {}
        self._sequence = 0
        self._latest_ms = 0

    async def flush(self, increments: Increments) -> None:
        """See ``StatisticsStore``."""
        self._sequence += 1
        self._latest_ms = max(self._latest_ms, increments.latest_ms)
        for item, weight in increments.trend.items():
            self._trend[item] += weight
        for item, followers in increments.pairs.items():
            self._changed[item] = self._sequence
            for other, weight in followers.items():
                self._pairs[item][other] += weight

    async def changes(self, cursor: int) -> Changes:
        """See ``StatisticsStore``."""
        items = sorted((s, i) for i, s in self._changed.items() if s > cursor)
        page = items[:PAGE] + [pair for pair in items[PAGE:] if pair[0] == items[PAGE - 1][0]]
        rows = tuple(Followers(item, tuple(self._pairs[item].items())) for _, item in page)
        return Changes(rows, tuple(self._trend.items()), self._latest_ms, page[-1][0] if page else cursor)
