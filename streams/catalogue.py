"""The catalogue agent: new texts become vectors, once for all workers; what cannot be read is dead-lettered.

Stock, prices and deletions do not wait for it: every worker reads them itself (``streams/follower.py``).
"""

from collections.abc import Sequence
from typing import Any

from contracts.codec import decode_item, encode_embedding
from contracts.errors import BadInput, Reason, Unacceptable
from contracts.messages import CatalogueItem
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import EMBEDDINGS
from inference.engine import Engine
from streams.batches import Batch, BatchStream
from streams.burying import Burying
from streams.engine_room import EngineRoom
from streams.folding import Undecoded
from streams.names import physical
from streams.producer import Outgoing, Producer
from streams.progress import Progress
from streams.settling import Settler


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
        self,
        settings: Settings,
        engine: EngineRoom,
        producer: Producer,
        burying: Burying,
        metrics: Metrics,
        progress: Progress,
    ) -> None:
        self._settings, self._engine, self._producer = settings, engine, producer
        self._burying, self._progress = burying, progress
        self._settler = Settler(settings.stream.retries, metrics, progress)
        self._vectors = physical(settings.kafka, EMBEDDINGS)

    async def run(self, stream: BatchStream) -> None:
        """The agent's body."""
        async for batch in stream.batches(self._settings.stream.batch):
            self._progress.took(len(batch.records))
            await self.process(batch)

    async def process(self, batch: Batch) -> None:
        """One batch, until its vectors and dead letters are acknowledged."""
        if await self._settler.settle(lambda: batch.alive, self, batch.records):
            await batch.ack()
            self._progress.finished(len(batch.records))
        else:
            batch.abandon()
            self._progress.gave_up(len(batch.records))

    async def once(self, records: Sequence[Any]) -> None:
        """See ``settling.Work``."""
        items, bad = self._read(records)
        await self._burying.send(bad)
        await self.embed(items)

    async def bury(self, record: Any, error: BadInput) -> None:
        """See ``settling.Work``."""
        await self._burying.send([Undecoded(record, error)])

    def _read(self, records: Sequence[Any]) -> tuple[list[CatalogueItem], list[Undecoded]]:
        """The last state of each item that is to be kept, and what cannot be read."""
        items: dict[bytes, CatalogueItem] = {}
        bad: list[Undecoded] = []
        for record in records:
            try:
                item = read_item(record, self._settings.stream.event_limit)
            except BadInput as error:
                bad.append(Undecoded(record, error))
                continue
            items.pop(record.key, None)
            if item is not None:
                items[record.key] = item
        return list(items.values()), bad

    async def embed(self, items: Sequence[CatalogueItem]) -> None:
        """Vectors for those of ``items`` whose text has none of this bundle yet."""
        stale = await self._engine.ask(lambda engine: _stale(engine, items))
        vectors = await self._engine.embed(stale)
        await self._producer.send([Outgoing(self._vectors, v.item_id.encode(), encode_embedding(v)) for v in vectors])


def _stale(engine: Engine, items: Sequence[CatalogueItem]) -> list[CatalogueItem]:
    return [item for item in items if engine.stale(item)]
