"""What all shoppers teach: summed here, flushed about once a second, and what everybody taught read back."""

import asyncio
from contextlib import suppress
from time import monotonic

import structlog

from contracts.errors import Unavailable
from contracts.events import AnyEvent
from contracts.profile import Profile
from contracts.statistics import Decay, Increments
from inference.engine import Engine
from streams.engine_room import EngineRoom
from streams.progress import Progress
from streams.store import Changes, StatisticsStore

#: While a backlog is read, counts change faster than they are worth reading: the rest waits for the next turn.
PAGES_A_TURN = 4
ALL_PAGES = 1_000_000
#: And after a turn its time is given to events so many times over.
REST = 4.0

log = structlog.get_logger()


class SharedStatistics:
    """The loop between this worker's lessons, the store's counts and the engine's arrays.

    A flush that fails loses lessons of about a second: counts are estimates, profiles are not.
    """

    def __init__(self, store: StatisticsStore, engine: EngineRoom, interval: float, progress: Progress) -> None:
        self._store, self._engine, self._interval, self._progress = store, engine, interval, progress
        self._decay = Decay()
        self._increments = Increments(self._decay)
        self._cursor: str | None = None
        self._task: asyncio.Task[None] | None = None

    def learn(self, before: Profile, event: AnyEvent) -> None:
        """Note what a new event teaches."""
        self._increments.learn(before, event)

    async def start(self) -> None:
        """Read everything that is known, then keep up."""
        await self._read_back(ALL_PAGES)
        self._task = self._progress.watch(self._run(), "statistics")

    async def stop(self) -> None:
        """Flush what is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            await self._turn()

    async def _run(self) -> None:
        took = 0.0
        while True:
            await asyncio.sleep(max(self._interval, REST * took))
            began = monotonic()
            await self._turn()
            took = monotonic() - began

    async def _turn(self) -> None:
        try:
            await self._flush()
            await self._read_back(PAGES_A_TURN)
        except Unavailable as error:
            log.warning("shared statistics stand still", error=str(error))

    async def _flush(self) -> None:
        increments, self._increments = self._increments, Increments(self._decay)
        if increments:
            await self._store.flush(increments)

    async def _read_back(self, most_pages: int) -> None:
        for _ in range(most_pages):
            changes = await self._store.changes(self._cursor)
            self._cursor = changes.cursor
            await self._engine.ask(lambda engine, found=changes: put_changes(engine, found))  # type: ignore[misc]
            if changes.complete:
                return
            await asyncio.sleep(0)  # a page is some ten milliseconds of work: others have their turn


def put_changes(engine: Engine, changes: Changes) -> None:
    """Show the engine what was read back."""
    engine.statistics.put_followers(changes.followers)
    engine.statistics.put_trend(changes.trend, changes.latest_ms)
