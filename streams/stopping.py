"""Stopping a plain aiokafka consumer for certain."""

import asyncio

from aiokafka import AIOKafkaConsumer

AGAIN_SECONDS = 0.5


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """``consumer.stop()``, which hangs for ever where its partitions were assigned a moment before.

    aiokafka's fetcher, while it changes to a new assignment, swallows the cancellation that should end it
    (``suppress(CancelledError)`` around its own tasks): it is cancelled again until it has ended.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    while not (await asyncio.wait({stopping}, timeout=AGAIN_SECONDS))[0]:
        fetcher = consumer._fetcher
        if fetcher is not None:
            fetcher._fetch_task.cancel()
    stopping.result()
