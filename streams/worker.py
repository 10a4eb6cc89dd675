"""One worker's life: prepare, catch up, stream, drain, end."""

import asyncio
import signal
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import faust
import structlog

from contracts.errors import DaogouError, Stuck
from contracts.settings import Settings
from streams.app import tune_interpreter
from streams.disk import DiskWaiter
from streams.engine_room import EngineRoom
from streams.follower import Follower
from streams.lagging import LagWatch
from streams.producer import Producer
from streams.progress import Progress
from streams.rules import RuleFollower
from streams.shared import SharedStatistics
from streams.store import ProfileStore, StatisticsStore
from streams.watchdog import Watchdog

DRAIN_SECONDS = 10.0
READY_SECONDS = 60.0
LOOK_SECONDS = 0.2

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
    rules: RuleFollower
    disk: DiskWaiter
    lag: LagWatch
    progress: Progress
    app: faust.App


class Worker:
    """Runs until told to stop."""

    def __init__(self, machinery: Machinery) -> None:
        self._m = machinery
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.overdue = False

    def stop(self) -> None:
        """Ask it to drain and end."""
        self._stop.set()

    async def run(self) -> None:
        """Start everything, stream until ``stop`` or a signal, end everything.

        Raises:
            Refused, Unavailable: at start, in one line.
            Fatal, Refused: while it ran; what was not acked is read again by the next worker.
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
        await m.rules.start()
        await m.shared.start()
        m.disk.start()
        tune_interpreter()
        m.app.finalize()
        await m.app.start()

    async def _until_stopped(self, watchdog: Watchdog) -> None:
        watching = [self._m.progress.watch(watchdog.beat(), "beat"), self._m.progress.watch(self._m.lag.run(), "lag")]
        try:
            if await self._joined():
                self.ready.set()
                log.info("ready", items=await self._m.engine.ask(lambda engine: len(engine.table)))
            while not (self._stop.is_set() or self._m.app.should_stop or self._m.progress.failure):
                await self._look_again()
        finally:
            for task in watching:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._raise_failure()

    async def _look_again(self) -> None:
        with suppress(TimeoutError):  # Faust has no event for its own end
            await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    async def _joined(self) -> bool:
        """Wait for a place in the group; with more workers than partitions it may be one without work."""
        deadline = monotonic() + READY_SECONDS
        while not (self._stop.is_set() or self._m.progress.failure or self._m.app.should_stop):
            if self._m.app.consumer_generation_id > 0 and not self._m.app.rebalancing:
                return True
            if monotonic() > deadline:
                group = self._m.settings.stream.group
                raise Stuck(
                    f"no place in the group {group} after {READY_SECONDS:.0f} s; may this login read the group?"
                )
            await asyncio.sleep(0.05)
        return False

    def _raise_failure(self) -> None:
        failure = self._m.progress.failure
        if isinstance(failure, DaogouError):
            raise failure
        if failure is not None:
            raise Stuck(f"the stream broke: {type(failure).__name__}: {failure}") from failure
        if not self._stop.is_set():
            raise Stuck("the stream ended by itself; the log says why")

    async def _stop_app(self) -> None:
        """Drain, but not for ever: Faust's consumer thread can die while it stops, and then nobody answers.

        ``wait_for`` would wait for the cancellation too, which Faust swallows; hence ``wait``.
        """
        stopping = asyncio.ensure_future(self._m.app.stop())
        done, _ = await asyncio.wait({stopping}, timeout=DRAIN_SECONDS)
        self.overdue = not done or stopping.exception() is not None
        if self.overdue:
            log.warning("Faust did not end in time; what was not acked is read again by the next worker")

    async def _end(self) -> None:
        m = self._m
        if m.app.started:
            await self._stop_app()
        await m.disk.stop()
        await m.rules.stop()
        await m.follower.stop()
        await m.shared.stop()
        await m.producer.stop()
        await m.store.close()
        await m.statistics_store.close()
        m.engine.close()
