"""A worker in this process on the real Kafka and Valkey, and a shopper's hands and eyes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

from aiokafka import AIOKafkaConsumer

from contracts.bundle import Bundle
from contracts.codec import decode_slate, encode_json
from contracts.events import AnyEvent
from contracts.messages import CatalogueItem, Slate
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM, RECOMMENDATIONS
from inference.engine import Engine
from launch.wiring import build_worker
from streams.clients import connection
from streams.names import physical
from streams.producer import Outgoing, Producer

DEADLINE_S = 20.0


class Live:
    """Sends what the shop would send, and reads what comes back."""

    def __init__(self, settings: Settings, engine: Engine, producer: Producer, consumer: AIOKafkaConsumer) -> None:
        self.settings, self.engine = settings, engine
        self._producer, self._consumer = producer, consumer
        self._numbers = count()

    async def put(self, *items: CatalogueItem) -> None:
        topic = physical(self.settings.kafka, CATALOGUE)
        await self._producer.send([Outgoing(topic, item.item_id.encode(), encode_json(item)) for item in items])

    async def embedded(self, items: int) -> None:
        """Wait until so many items can be scored."""
        async with asyncio.timeout(DEADLINE_S * 3):
            while int(self.engine.table.has_vector.sum()) < items:  # noqa: ASYNC110  the engine tells nobody
                await asyncio.sleep(0.02)

    async def do(self, kind: type, user: str, **fields: object) -> Slate:
        """Do something and wait for the slate that answers it."""
        event: AnyEvent = kind(event_id=f"{user}-{next(self._numbers)}", user_id=user, time_ms=now_ms(), **fields)
        topic = physical(self.settings.kafka, CLICKSTREAM)
        await self._producer.send([Outgoing(topic, user.encode(), encode_json(event))])
        return await self.slate(lambda slate: slate.trigger.event_id == event.event_id)

    async def slate(self, wanted: Callable[[Slate], bool]) -> Slate:
        async with asyncio.timeout(DEADLINE_S):
            async for record in self._consumer:
                if record.value is not None and wanted(found := decode_slate(record.value)):
                    return found
        raise AssertionError("the consumer ended")


def now_ms() -> int:
    return int(time.time() * 1000)


@asynccontextmanager
async def live(settings: Settings, bundle: Bundle | None) -> AsyncIterator[Live]:
    """A running worker with this bundle; it drains and ends with the block."""
    metrics = Metrics()
    engine = Engine(bundle, settings.engine, settings.model, metrics)
    worker = build_worker(settings, metrics, engine=engine)
    producer = Producer(settings.kafka)
    topic = physical(settings.kafka, RECOMMENDATIONS)
    consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", fetch_max_wait_ms=20, **connection(settings.kafka))
    await producer.start()
    await consumer.start()
    running = asyncio.create_task(worker.run())
    ready = asyncio.create_task(worker.ready.wait())
    try:
        done, _ = await asyncio.wait({running, ready}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert ready in done, running
        yield Live(settings, engine, producer, consumer)
    finally:
        worker.stop()
        ready.cancel()
        await asyncio.wait_for(running, 30)
        await consumer.stop()
        await producer.stop()
