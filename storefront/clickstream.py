"""The clickstream as the operator's view sees it: whoever was shown what, and clicked, goes into the ledger.

A consumer without a group, beside the workers' own. It begins an hour back, so an API process that starts again knows
what the one before it knew; requests are answered meanwhile.
"""

import asyncio
from time import time

import structlog

from contracts.codec import decode_event
from contracts.errors import BadInput, BrokerUnavailable, TopicsRefused
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM
from storefront.ledger import HOUR_MS, Ledger
from streams.names import physical
from streams.progress import Progress
from streams.tail import Runs, Tail

AT_ONCE = 200
AGAIN_SECONDS = 5.0

log = structlog.get_logger()


class Clickstream:
    """Follows ``clickstream`` in the background."""

    def __init__(self, settings: Settings, ledger: Ledger, progress: Progress) -> None:
        self._limit, self._ledger, self._progress = settings.stream.event_limit, ledger, progress
        self._tail = Tail(settings.kafka, (physical(settings.kafka, CLICKSTREAM),), "the clickstream", self._take)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read the last hour, then follow."""
        self._task = self._progress.watch(self._run(), "clicks")

    async def stop(self) -> None:
        """Let go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._tail.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self._tail.start(int(time() * 1000) - HOUR_MS)
                break
            except (BrokerUnavailable, TopicsRefused) as error:
                log.warning("clicks are not counted yet", error=str(error))
                await self._tail.stop()
                await asyncio.sleep(AGAIN_SECONDS)
        await self._tail.follow()

    async def _take(self, runs: Runs) -> None:
        every = (record for records in runs.values() for record in records)
        for number, record in enumerate(every, 1):
            if not number % AT_ONCE:
                await asyncio.sleep(0)  # an hour of a busy shop is a lot: let requests in between
            try:
                event = decode_event(record.value, record.key, record.headers, record.timestamp, self._limit)
            except BadInput:
                continue  # the workers dead-letter it
            self._ledger.take(event, record.timestamp)
