"""The catalogue agent: new texts become vectors, once for all workers; what cannot be read is dead-lettered.

Stock, prices and deletions do not wait for it: every worker reads them itself (``streams/follower.py``).
"""

import asyncio
from collections.abc import Sequence
from time import time
from typing import Any

import structlog

from contracts.codec import decode_item, encode_embedding
from contracts.errors import BadInput, Reason, Unacceptable, Unavailable
from contracts.messages import CatalogueItem
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS, EMBEDDINGS
from inference.engine import Engine
from streams.batches import Batch, BatchStream
from streams.dead_letters import encode_headers, letter_of
from streams.engine_room import EngineRoom
from streams.names import physical
from streams.producer import Outgoing, Producer
from streams.progress import Progress

BACKOFF = 0.5

log = structlog.get_logger()


def read_item(record: Any, limit: int) -> CatalogueItem | None:
    """An upsert, or None for a deletion. Raises: BadInput."""
    if record.value is None:
        return None
    item = decode_item(record.value, limit)
    if record.key != item.item_id.encode():
        raise Unacceptable(Reason.KEY_MISMATCH, "the record's key is not the item_id; compaction needs it to be")
    return item


class CatalogueAgent:
    """Embeds what the engine finds stale, and publishes the vectors."""

    def __init__(
        self, settings: Settings, engine: EngineRoom, producer: Producer, metrics: Metrics, progress: Progress
    ) -> None:
        self._settings, self._engine, self._producer = settings, engine, producer
        self._metrics, self._progress = metrics, progress
        self._vectors = physical(settings.kafka, EMBEDDINGS)
        self._letters = physical(settings.kafka, DEAD_LETTERS)

    async def run(self, stream: BatchStream) -> None:
        """The agent's body."""
        async for batch in stream.batches(self._settings.stream.batch):
            self._progress.took(len(batch.records))
            await self.process(batch)

    async def process(self, batch: Batch) -> None:
        """One batch, until its vectors and dead letters are acknowledged."""
        while batch.alive:
            try:
                await self._once(batch.records)
            except Unavailable as error:
                log.warning("the catalogue waits", error=str(error))
                self._progress.waits_for(type(error).__name__)
                await asyncio.sleep(BACKOFF)
            else:
                await batch.ack()
                self._progress.finished(len(batch.records))
                return
        batch.abandon()
        self._progress.gave_up(len(batch.records))

    async def _once(self, records: Sequence[Any]) -> None:
        items: dict[str, CatalogueItem] = {}
        letters: list[Outgoing] = []
        for record in records:
            try:
                item = read_item(record, self._settings.stream.event_limit)
            except BadInput as error:
                letters.append(self._letter(record, error))
            else:
                if item is not None:
                    items[item.item_id] = item
        await self._producer.send(letters)
        await self.embed(list(items.values()))

    async def embed(self, items: Sequence[CatalogueItem]) -> None:
        """Vectors for those of ``items`` whose text has none of this bundle yet."""
        stale = await self._engine.ask(lambda engine: _stale(engine, items))
        vectors = await self._engine.embed(stale)
        await self._producer.send([Outgoing(self._vectors, v.item_id.encode(), encode_embedding(v)) for v in vectors])

    def _letter(self, record: Any, error: BadInput) -> Outgoing:
        self._metrics.dead_letters.labels(error.reason.value).inc()
        letter = letter_of(record, error, int(time() * 1000), self._settings.stream.group)
        return Outgoing(self._letters, record.key, record.value, None, tuple(encode_headers(letter)))


def _stale(engine: Engine, items: Sequence[CatalogueItem]) -> list[CatalogueItem]:
    return [item for item in items if engine.stale(item)]
