"""Every worker holds the whole catalogue: this reads both compacted topics from their beginning, and goes on.

A plain consumer without a group: each worker sees every partition. Ready once it has caught up with where the topics
ended when it started.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition

from contracts.codec import decode_embedding
from contracts.errors import BadInput
from contracts.events import ItemId
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import CATALOGUE, EMBEDDINGS
from inference.engine import Engine
from streams.catalogue import read_item
from streams.engine_room import EngineRoom
from streams.names import physical
from streams.progress import Progress
from streams.tail import Runs, Tail


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
        self._tail = Tail(settings.kafka, (self._items, self._vectors), "the catalogue", self._take)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read everything that is there, then keep up in the background. Raises: BrokerUnavailable, TopicsRefused."""
        await self._tail.start()
        self._tasks = [self._progress.watch(self._tail.follow(), "follower")]
        if self._beside is not None:
            self._tasks.append(self._progress.watch(self._beside(), "backfill"))

    async def stop(self) -> None:
        """Let go."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._tail.stop()

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where partitions of any topic end now. Raises: KafkaError."""
        return await self._tail.ends(partitions)

    async def _take(self, runs: Runs) -> None:
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
