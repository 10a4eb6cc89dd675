"""Shared counts in Redis: sorted sets of inflated weights (forward decay), summed by whoever flushes.

``follows:<item>`` (its strongest followers), ``trend`` (items), ``changed`` (items by the sequence of the flush that
changed them), ``sequence`` and ``latest``. Bounded: followers an item, items of the trend, page of a read.
"""

from collections.abc import Iterable

from redis.asyncio import Redis

from contracts.events import ItemId
from contracts.statistics import Increments
from streams.store.protocol import Changes, Followers
from streams.store.redis import asked

FOLLOWERS = 200
TREND = 100_000
PAGE = 1000
CHUNK = 2000


class RedisStatistics:
    """A ``StatisticsStore``."""

    def __init__(self, client: "Redis", prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix

    def _key(self, name: str) -> str:
        return f"{self._prefix}stats:{name}"

    async def flush(self, increments: Increments) -> None:
        """See ``StatisticsStore``. Pairs first, then the sequence that lets others see them."""
        await self._add_pairs(increments)
        sequence = await asked(self._client.incr(self._key("sequence")))
        pipe = self._client.pipeline(transaction=False)
        for item in increments.pairs:
            pipe.zadd(self._key("changed"), {item: sequence})
        for item, weight in increments.trend.items():
            pipe.zincrby(self._key("trend"), weight, item)
        pipe.zremrangebyrank(self._key("trend"), 0, -TREND - 1)
        pipe.set(self._key("latest"), increments.latest_ms)
        await asked(pipe.execute())

    async def _add_pairs(self, increments: Increments) -> None:
        pipe = self._client.pipeline(transaction=False)
        for item, followers in increments.pairs.items():
            for other, weight in followers.items():
                pipe.zincrby(self._key(f"follows:{item}"), weight, other)
            pipe.zremrangebyrank(self._key(f"follows:{item}"), 0, -FOLLOWERS - 1)
            if len(pipe) >= CHUNK:
                await asked(pipe.execute())
        await asked(pipe.execute())

    async def changes(self, cursor: int) -> Changes:
        """See ``StatisticsStore``."""
        pipe = self._client.pipeline(transaction=False)
        pipe.zrangebyscore(self._key("changed"), f"({cursor}", "+inf", start=0, num=PAGE, withscores=True)
        pipe.zrange(self._key("trend"), 0, -1, withscores=True)
        pipe.get(self._key("latest"))
        changed, trend, latest = await asked(pipe.execute())
        page = await self._whole_flush(changed)
        rows = await self._rows([item for item, _ in page])
        reached = int(page[-1][1]) if page else cursor
        return Changes(rows, tuple(_decoded(trend)), int(latest or 0), reached)

    async def _whole_flush(self, page: list[tuple[bytes, float]]) -> list[tuple[bytes, float]]:
        """A page ends with a whole flush, or its rest would be skipped."""
        if len(page) < PAGE:
            return page
        last = page[-1][1]
        rest = await asked(self._client.zrangebyscore(self._key("changed"), last, last, withscores=True))
        return [pair for pair in page if pair[1] < last] + rest

    async def _rows(self, items: list[bytes]) -> tuple[Followers, ...]:
        pipe = self._client.pipeline(transaction=False)
        for item in items:
            pipe.zrange(self._key(f"follows:{item.decode()}"), 0, -1, withscores=True)
        found = await asked(pipe.execute())
        return tuple(
            Followers(ItemId(item.decode()), tuple(_decoded(row))) for item, row in zip(items, found, strict=True)
        )


def _decoded(pairs: Iterable[tuple[bytes, float]]) -> Iterable[tuple[ItemId, float]]:
    return ((ItemId(item.decode()), float(weight)) for item, weight in pairs)
