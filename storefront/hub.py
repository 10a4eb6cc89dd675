"""The stream's slates as they come: the last ones of each shopper in memory, and whoever listens.

A consumer without a group over the whole of ``recommendations``. It starts as far back as a slate may be fresh, so a
process that was killed knows again what a reconnecting page has not seen.
"""

import asyncio
from collections import OrderedDict, deque
from time import time
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.codec import decode_slate
from contracts.errors import BadInput, BrokerUnavailable, Overloaded
from contracts.events import RecommendationId, UserId
from contracts.messages import Slate
from contracts.settings import Settings
from contracts.topics import RECOMMENDATIONS
from streams.clients import connection
from streams.names import physical
from streams.progress import Progress
from streams.stopping import stop_consumer

EACH = 20  # slates kept of one shopper
LATEST = 2_000  # slates kept of all
AT_ONCE = 2_000

log = structlog.get_logger()


class Numbered(NamedTuple):
    """A slate and where it stands in its partition; None: the shopper was forgotten."""

    offset: int
    slate: Slate | None


Listener = asyncio.Queue[Numbered]


class Hub:
    """Follows ``recommendations``."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self._topic = physical(settings.kafka, RECOMMENDATIONS)
        self._of: OrderedDict[UserId, deque[Numbered]] = OrderedDict()
        self._by_id: OrderedDict[RecommendationId, Slate] = OrderedDict()
        self._listeners: dict[UserId, set[Listener]] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self.listening = 0
        self.latest: deque[Slate] = deque(maxlen=LATEST)
        self.seen = 0  # slates since the start

    async def start(self) -> None:
        """Read back what is fresh, then follow. Raises: BrokerUnavailable."""
        self._consumer = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100, metadata_max_age_ms=5000,
            max_partition_fetch_bytes=4 << 20, **connection(self._settings.kafka),
        )  # fmt: skip
        try:
            await self._consumer.start()
            await self._read_back(self._consumer)
        except KafkaError as error:
            raise BrokerUnavailable(f"the slates cannot be read: {type(error).__name__}: {error}") from error
        self._task = self._progress.watch(self._follow(self._consumer), "hub")

    async def stop(self) -> None:
        """Let go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    def last(self, user: UserId) -> Slate | None:
        """A shopper's newest slate."""
        slates = self._of.get(user)
        return slates[-1].slate if slates else None

    def by_id(self, recommendation: RecommendationId) -> Slate | None:
        """A slate that was seen lately."""
        return self._by_id.get(recommendation)

    def note(self, slate: Slate) -> None:
        """Remember a slate that was computed for a request, so that its receipt can be asked for."""
        self._by_id[slate.recommendation_id] = slate
        if len(self._by_id) > self._settings.api.slates:
            self._by_id.popitem(last=False)

    def open(self, user: UserId, after: int | None) -> Listener:
        """A shopper's slates beyond the offset ``after``, from what is kept and then as they come.

        ``after`` None: only the newest of what is kept. Give it back to ``close``. Raises: Overloaded.
        """
        if self.listening >= self._settings.api.streams:
            raise Overloaded(f"{self.listening:,} streams are open already")
        queue: Listener = asyncio.Queue()
        kept = [each for each in self._of.get(user, ()) if each.slate is not None]
        for each in kept[-1:] if after is None else [each for each in kept if each.offset > after]:
            queue.put_nowait(each)
        self._listeners.setdefault(user, set()).add(queue)
        self.listening += 1
        return queue

    def close(self, user: UserId, queue: Listener) -> None:
        """Nobody listens there any more."""
        self.listening -= 1
        self._listeners[user].discard(queue)
        if not self._listeners[user]:
            del self._listeners[user]

    async def _read_back(self, consumer: AIOKafkaConsumer) -> None:
        await consumer._client.force_metadata_update()
        count = self._settings.kafka.partitions
        partitions = [TopicPartition(self._topic, number) for number in range(count)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        since = int((time() - self._settings.api.fresh_seconds) * 1000)
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        for partition in partitions:
            found = starts.get(partition)
            consumer.seek(partition, found.offset if found else ends[partition])
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            self._take(await consumer.getmany(timeout_ms=100, max_records=AT_ONCE))

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                self._take(await consumer.getmany(timeout_ms=1000, max_records=AT_ONCE))
            except KafkaError as error:
                log.warning("the slates stand still", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(1.0)

    def _take(self, runs: dict[TopicPartition, list[Any]]) -> None:
        for record in (record for records in runs.values() for record in records):
            user = UserId((record.key or b"").decode(errors="replace"))
            try:
                slate = None if record.value is None else decode_slate(record.value)
            except BadInput:
                continue  # none of ours
            self._put(user, Numbered(record.offset, slate))

    def _put(self, user: UserId, each: Numbered) -> None:
        slates = self._of.pop(user, None) or deque(maxlen=EACH)
        self._of[user] = slates
        if each.slate is None:
            slates.clear()
        else:
            self.seen += 1
            self.note(each.slate)
            self.latest.append(each.slate)
        slates.append(each)
        if len(self._of) > self._settings.api.slates:
            self._of.popitem(last=False)
        for queue in self._listeners.get(user, ()):
            queue.put_nowait(each)
