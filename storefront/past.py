"""One shopper's records in the log: their partition is read, for one request at a time: readings never pile up."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from contracts.events import UserId
from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM
from storefront.batcher import Batcher
from storefront.open_log import OpenLog

LATELY = 5_000  # records of a partition that a look at somebody reads
MOST = 500_000  # the same for an account that needs all there is
WAITING = 8


class Wanted(NamedTuple):
    """Whose records, of at most how many of the newest of the partition."""

    user: UserId
    partition: int
    most: int


class Past(NamedTuple):
    """``records`` in the log's order; ``looked_at`` of the partition. ``whole``: nothing came before them."""

    records: tuple[Any, ...]
    looked_at: int
    whole: bool


class Reader:
    """Of one shop's clickstream."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._log = OpenLog(settings)
        self._reading: Batcher[Wanted, Past] = Batcher("the log's past", self._read, 1, WAITING)

    async def of(self, user: UserId, partition: int, most: int = LATELY) -> Past:
        """A shopper's records. Raises: BrokerUnavailable, TopicsRefused, Overloaded."""
        return await self._reading.ask(Wanted(user, partition, most))

    async def close(self) -> None:
        """Let go."""
        await self._log.close()

    async def _read(self, wanted: Sequence[Wanted]) -> list[Past]:
        return [await self._one(each) for each in wanted]

    async def _one(self, wanted: Wanted) -> Past:
        key, found, looked_at = wanted.user.encode(), list[Any](), 0
        async with self._log.reading() as log:
            span = next(each for each in await log.spans(CLICKSTREAM) if each.partition == wanted.partition)
            begin = max(span.begin, span.end - wanted.most)
            async for records in log.read(span._replace(begin=begin)):
                looked_at += len(records)
                found += [record for record in records if record.key == key]
        return Past(tuple(found), looked_at, begin == 0)
