"""Batches whose effects are done wait here for the store's disk, and are acked in their order."""

import asyncio
from contextlib import suppress
from time import time

import structlog

from contracts.errors import Unavailable
from contracts.metrics import Metrics
from streams.batches import Batch
from streams.progress import Progress
from streams.store import ProfileStore

BACKOFF = 0.5

log = structlog.get_logger()


class DiskWaiter:
    """One barrier at a time serves every batch that came before it; the slates have long gone out."""

    def __init__(self, store: ProfileStore, metrics: Metrics, progress: Progress) -> None:
        self._store, self._metrics, self._progress = store, metrics, progress
        self._waiting: asyncio.Queue[tuple[Batch, float]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ack."""
        self._task = self._progress.watch(self._run(), "disk")

    async def put(self, batch: Batch, started: float) -> None:
        """A batch whose profiles are saved and whose slates are acknowledged. ``started``: when it was read."""
        await self._waiting.put((batch, started))

    async def stop(self) -> None:
        """End; what was not acked is read again by the next owner."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            ready = [await self._waiting.get()]
            while not self._waiting.empty():
                ready.append(self._waiting.get_nowait())
            await self._safe(ready)

    async def _safe(self, ready: list[tuple[Batch, float]]) -> None:
        asked = time()
        while not await self._on_disk():
            if not ready[-1][0].alive:  # a rebalance waits for us, and the store does not answer
                for batch, _ in ready:
                    batch.abandon()
                    self._progress.gave_up(len(batch.records))
                return
        self._metrics.disk_wait.observe(time() - asked)
        for batch, started in ready:
            await batch.ack()
            self._progress.finished(len(batch.records))
            self._metrics.batch_seconds.observe(time() - started)

    async def _on_disk(self) -> bool:
        try:
            await self._store.on_disk()
        except Unavailable as error:
            log.warning("the store cannot say what is on its disk; nothing is committed", error=str(error))
            self._progress.waits()
            await asyncio.sleep(BACKOFF)
            return False
        return True
