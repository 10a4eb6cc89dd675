"""What was read and dropped is read again, whether or not the group has ever committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import faust
import pytest

from contracts.settings import Settings
from streams.app import build_app
from streams.progress import Progress
from tests.streaming import PATIENCE, publish, view


class Reader:
    """An agent's body that notes the offsets it reads; it acks every one below ``safe``."""

    def __init__(self, safe: int = 0) -> None:
        self.offsets: list[int] = []
        self._safe = safe
        self._more = asyncio.Condition()

    async def run(self, stream: Any) -> None:
        async for batch in stream.batches(1):
            self.offsets += [record.offset for record in batch.records]
            if batch.records[-1].offset < self._safe:
                await batch.ack()
            else:
                batch.abandon()  # or the end would wait for it
            async with self._more:
                self._more.notify_all()

    async def read(self, count: int) -> list[int]:
        """Wait until so many are read. Returns: them all."""
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: len(self.offsets) >= count)
        return self.offsets


@asynccontextmanager
async def streaming(settings: Settings, reader: Reader) -> AsyncIterator[faust.App]:
    app = build_app(settings, reader, Reader(), Progress())  # type: ignore[arg-type]
    app.finalize()
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


@pytest.mark.parametrize("committed", [0, 2])
async def test_a_seek_goes_back_to_the_first_record_not_done(shop: Settings, committed: int) -> None:
    reader = Reader(safe=committed)
    async with streaming(shop, reader) as app:
        for number in range(committed + 3):
            await publish(shop, [view("u1", number)])
            await reader.read(number + 1)
        if committed:
            await app.consumer.force_commit()
        await app.consumer.perform_seek()
        again = await reader.read(committed + 6)
    assert again == [*range(committed + 3), *range(committed, committed + 3)]
