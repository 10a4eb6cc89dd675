"""Every worker holds the whole catalogue: this reads both compacted topics from their beginning, and goes on.

A plain consumer without a group: each worker sees every partition. Ready once it has caught up with where the topics
ended when it started.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.codec import decode_embedding
from contracts.errors import BadInput, BrokerUnavailable, TopicsRefused
from contracts.events import ItemId
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import CATALOGUE, EMBEDDINGS
from inference.engine import Engine
from streams.catalogue import read_item
from streams.clients import connection
from streams.engine_room import EngineRoom
from streams.names import physical
from streams.progress import Progress
from streams.stopping import stop_consumer

AT_ONCE = 2000

log = structlog.get_logger()


class Follower:
    """Fills the engine's catalogue. ``beside``: what else runs in the background once it has caught up."""

    def __init__(
        self,
        settings: Settings,
        engine: EngineRoom,
        metrics: Metrics,
        progress: Progress,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._settings, self._engine = settings, engine
        self._metrics, self._progress, self._beside = metrics, progress, beside
        self._items = physical(settings.kafka, CATALOGUE)
        self._vectors = physical(settings.kafka, EMBEDDINGS)
        self._consumer: AIOKafkaConsumer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read everything that is there, then keep up in the background. Raises: BrokerUnavailable."""
        self._consumer = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100,
            metadata_max_age_ms=5000, max_partition_fetch_bytes=4 << 20, **connection(self._settings.kafka),
        )  # fmt: skip
        try:
            await self._consumer.start()
            await self._catch_up(self._consumer)
        except KafkaError as error:
            raise BrokerUnavailable(f"the catalogue cannot be read: {type(error).__name__}: {error}") from error
        self._tasks = [self._progress.watch(self._follow(self._consumer), "follower")]
        if self._beside is not None:
            self._tasks.append(self._progress.watch(self._beside(), "backfill"))

    async def stop(self) -> None:
        """Let go."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where partitions of any topic end now. Raises: KafkaError."""
        wanted = list(partitions)
        return dict(await self._consumer.end_offsets(wanted)) if self._consumer and wanted else {}

    async def _catch_up(self, consumer: AIOKafkaConsumer) -> None:
        partitions = [TopicPartition(t, p) for t in (self._items, self._vectors) for p in await self._all(consumer, t)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            await self._take(await consumer.getmany(timeout_ms=100, max_records=AT_ONCE))

    async def _all(self, consumer: AIOKafkaConsumer, topic: str) -> Sequence[int]:
        deadline = monotonic() + self._settings.kafka.request_timeout
        while not (found := consumer.partitions_for_topic(topic)):
            if monotonic() > deadline:
                raise TopicsRefused(f"{topic} is missing. Run `daogou topics create`")
            await consumer._client.force_metadata_update()
            await asyncio.sleep(0.1)
        return sorted(found)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._take(await consumer.getmany(timeout_ms=1000, max_records=AT_ONCE))
            except KafkaError as error:
                log.warning("the catalogue stands still", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(1.0)

    async def _take(self, runs: dict[TopicPartition, list[Any]]) -> None:
        for partition, records in runs.items():
            take = self._take_items if partition.topic == self._items else take_vectors
            await self._engine.ask(lambda engine, take=take, records=records: take(engine, records))  # type: ignore[misc]
        if runs:
            embedded, known = await self._engine.ask(lambda e: (int(e.table.has_vector.sum()), e.table.count))
            self._metrics.items.set(known)
            self._metrics.embedded.set(embedded)

    def _take_items(self, engine: Engine, records: Sequence[Any]) -> None:
        for record in records:
            try:
                item = read_item(record, self._settings.stream.event_limit)
            except BadInput:
                continue  # the catalogue agent dead-letters it
            if item is not None:
                engine.upsert(item)
            elif record.key:
                engine.delete(ItemId(record.key.decode(errors="replace")))


def take_vectors(engine: Engine, records: Iterable[Any]) -> None:
    """Records of the embeddings' topic into the engine; what is not ours is left out."""
    for record in records:
        if record.value:
            with suppress(BadInput):  # not ours; the item waits and is embedded again
                engine.set_embedding(decode_embedding(record.value))
