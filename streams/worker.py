"""One worker's life: prepare, catch up, stream, drain, end."""

import asyncio
import signal
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import faust
import structlog

from contracts.errors import Stuck
from contracts.settings import Settings
from streams.app import tune_interpreter
from streams.disk import DiskWaiter
from streams.engine_room import EngineRoom
from streams.follower import Follower
from streams.producer import Producer
from streams.progress import Progress
from streams.shared import SharedStatistics
from streams.store import ProfileStore, StatisticsStore
from streams.watchdog import Watchdog

DRAIN_SECONDS = 10.0
READY_SECONDS = 60.0

log = structlog.get_logger()


class Machinery(NamedTuple):
    """Everything that has a life of its own, in the order in which it starts."""

    settings: Settings
    producer: Producer
    store: ProfileStore
    statistics_store: StatisticsStore
    engine: EngineRoom
    shared: SharedStatistics
    follower: Follower
    disk: DiskWaiter
    progress: Progress
    app: faust.App


class Worker:
    """Runs until told to stop."""

    def __init__(self, machinery: Machinery) -> None:
        self._m = machinery
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Ask it to drain and end."""
        self._stop.set()

    async def run(self) -> None:
        """Start everything, stream until ``stop`` or a signal, end everything.

        Raises:
            Refused, Unavailable: at start, in one line.
            Stuck: the app ended by itself.
        """
        watchdog = Watchdog(self._m.progress, self._m.settings.stream.stuck_after)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        try:
            await self._start()
            watchdog.start()
            await self._until_stopped(watchdog)
        finally:
            await self._end()
            watchdog.stop()

    async def _start(self) -> None:
        m = self._m
        await m.store.check()
        await m.producer.start()
        await m.follower.start()
        await m.shared.start()
        m.disk.start()
        tune_interpreter()
        m.app.finalize()
        await m.app.start()

    async def _until_stopped(self, watchdog: Watchdog) -> None:
        beat = asyncio.create_task(watchdog.beat(), name="beat")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        crashed = asyncio.create_task(self._crashed(), name="crashed")
        await self._assigned()
        self.ready.set()
        log.info("ready", items=await self._m.engine.ask(lambda engine: len(engine.table)))
        try:
            await asyncio.wait({stopped, crashed}, return_when=asyncio.FIRST_COMPLETED)
            if crashed.done():
                raise Stuck("the stream ended by itself; the log says why")
        finally:
            for task in (beat, stopped, crashed):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _crashed(self) -> None:
        while not self._m.app.should_stop:  # noqa: ASYNC110  Faust has no event for it
            await asyncio.sleep(0.5)

    async def _assigned(self) -> None:
        """Partitions, or at least a place in the group (more workers than partitions)."""
        deadline = monotonic() + READY_SECONDS
        consumer = self._m.app.consumer
        while not (consumer.assignment() or self._stop.is_set() or monotonic() > deadline):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.05)

    async def _end(self) -> None:
        m = self._m
        if m.app.started:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(m.app.stop(), DRAIN_SECONDS)
        await m.disk.stop()
        await m.follower.stop()
        await m.shared.stop()
        await m.producer.stop()
        await m.store.close()
        await m.statistics_store.close()
        m.engine.close()
