"""What goes with what and what is trending, as sorted sets in Redis or Valkey that every worker adds to.

``follows:<item>`` holds an item's followers, ``{stats}:trend`` all items, with inflated weights; ``{stats}:changed``
numbers the changes, so that a worker reads back only what is new to it. Weights travel as ``repr`` writes them: the
shortest text that is the same double again.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from contracts.events import ItemId
from contracts.statistics import NEIGHBOURS, Increments
from streams.store.connection import LEARN, MARK, STRONGEST, Command, Connection
from streams.store.protocol import (
    CHANGES_KEPT,
    FOLLOWERS_KEPT,
    PAGE,
    TRENDS_KEPT,
    Changes,
    Followers,
    Weighted,
    changed_items,
)  # fmt: skip

CHUNK = 2000  # of what is taught in one call: the server serves nobody else meanwhile
LESSONS = 500

_texts = msgspec.msgpack.Decoder(tuple[str, ...])


class RedisStatistics:
    """``StatisticsStore`` on one Redis or Valkey."""

    def __init__(self, connection: Connection, prefix: str, ttl_ms: int) -> None:
        self._connection = connection
        self._prefix = prefix
        self._ttl_ms = ttl_ms
        self._trend, self._sequence, self._changed, self._latest = (
            f"{prefix}{{stats}}:{name}" for name in ("trend", "sequence", "changed", "latest_ms")
        )

    async def flush(self, increments: Increments) -> None:
        """See ``StatisticsStore``. Items are marked as changed only after their counts are in."""
        for pairs in _chunks(tuple(increments.pairs.items()), LESSONS):  # in parts: a backlog teaches much at once
            await self._connection.call([self._learn(self._follows(i), FOLLOWERS_KEPT, f.items()) for i, f in pairs])
        parts = _chunks(tuple(increments.trend.items()))
        await self._connection.call([self._learn(self._trend, TRENDS_KEPT, part) for part in parts])
        marks = _chunks(changed_items(increments))
        await self._connection.call([self._mark(increments.latest_ms, items) for items in marks])

    async def changes(self, cursor: str | None, page: int = PAGE, neighbours: int = NEIGHBOURS) -> Changes:
        """See ``StatisticsStore``."""
        since = cursor or "0"
        latest, changed = await self._connection.run([
            ("GET", self._latest),
            ("ZRANGE", self._changed, f"({since}", "+inf", "BYSCORE", "LIMIT", 0, page + 1, "WITHSCORES"),
        ])  # fmt: skip
        numbered = tuple(zip(changed[::2], changed[1::2], strict=True))
        items = [ItemId(name.decode()) for name, _ in numbered[:page]]
        followers, trend = await self._read(items, neighbours)
        last = numbered[len(items) - 1][1].decode() if items else since
        return Changes(followers, trend, int(latest or 0), last, len(numbered) <= page)

    async def close(self) -> None:
        """See ``StatisticsStore``."""
        await self._connection.close()

    async def _read(
        self, items: Sequence[ItemId], neighbours: int
    ) -> tuple[tuple[Followers, ...], tuple[Weighted, ...]]:
        if not items:
            return (), ()
        ask: list[Command] = [("FCALL_RO", STRONGEST, 1, self._follows(item), neighbours) for item in items]
        *packed, weights = await self._connection.call([*ask, ("ZMSCORE", self._trend, *items)])
        followers = tuple(Followers(item, _pairs(value)) for item, value in zip(items, packed, strict=True))
        found = zip(items, weights, strict=True)
        return followers, tuple(Weighted(item, float(weight)) for item, weight in found if weight is not None)

    def _learn(self, name: str, kept: int, weights: Iterable[tuple[ItemId, float]]) -> Command:
        lesson = chain.from_iterable((item, repr(float(weight))) for item, weight in weights)
        return ("FCALL", LEARN, 1, name, kept, self._ttl_ms, *lesson)

    def _mark(self, latest_ms: int, items: Sequence[ItemId]) -> Command:
        return ("FCALL", MARK, 3, self._sequence, self._changed, self._latest, CHANGES_KEPT, latest_ms, *items)

    def _follows(self, item: ItemId) -> str:
        return f"{self._prefix}follows:{item}"


def _pairs(packed: bytes) -> tuple[Weighted, ...]:
    texts = _texts.decode(packed)
    return tuple(Weighted(ItemId(item), float(w)) for item, w in zip(texts[::2], texts[1::2], strict=True))


T = TypeVar("T")


def _chunks(values: Sequence[T], size: int = CHUNK) -> list[Sequence[T]]:
    return [values[at : at + size] for at in range(0, len(values), size)]
