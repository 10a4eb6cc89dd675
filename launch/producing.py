"""A producer for as long as something is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.settings import KafkaSettings
from streams.producer import Producer


@asynccontextmanager
async def producing(settings: KafkaSettings) -> AsyncIterator[Producer]:
    """Started, and stopped at the end. Raises: BrokerUnavailable."""
    producer = Producer(settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
