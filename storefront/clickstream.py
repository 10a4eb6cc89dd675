"""The clickstream as the operator's view sees it: whoever was shown what, and clicked, goes into the ledger.

A consumer without a group, beside the workers' own. It begins an hour back, so an API process that starts again knows
what the one before it knew.
"""

import asyncio
from time import time

from contracts.codec import decode_event
from contracts.errors import BadInput
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM
from storefront.ledger import HOUR_MS, Ledger
from streams.names import physical
from streams.progress import Progress
from streams.tail import Runs, Tail


class Clickstream:
    """Follows ``clickstream``. ``start`` it before ``stop``."""

    def __init__(self, settings: Settings, ledger: Ledger, progress: Progress) -> None:
        self._limit, self._ledger, self._progress = settings.stream.event_limit, ledger, progress
        self._tail = Tail(settings.kafka, (physical(settings.kafka, CLICKSTREAM),), "the clickstream", self._take)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the last hour, then follow. Raises: BrokerUnavailable, TopicsRefused."""
        await self._tail.start(int(time() * 1000) - HOUR_MS)
        self._task = self._progress.watch(self._tail.follow(), "clicks")

    async def stop(self) -> None:
        """Let go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._tail.stop()

    async def _take(self, runs: Runs) -> None:
        for record in (record for records in runs.values() for record in records):
            try:
                event = decode_event(record.value, record.key, record.headers, record.timestamp, self._limit)
            except BadInput:
                continue  # the workers dead-letter it
            self._ledger.take(event, record.timestamp)
