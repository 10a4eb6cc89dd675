"""The log, held open between readings: to open it costs more than most of what is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from contracts.settings import KafkaSettings
from streams.replay import Log

GOOD_SECONDS = 60.0  # then it is opened again: a topic may be another by the same name


class OpenLog:
    """One reading at a time. ``close`` it at the end."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings, self._using = settings, asyncio.Lock()
        self._log: Log | None = None
        self._opened = 0.0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Log]:
        """The log, for as long as the block; whatever goes wrong in there, the next reading opens it afresh.

        Raises: BrokerUnavailable, TopicsRefused.
        """
        async with self._using:
            try:
                yield await self._fresh()
            except BaseException:  # a cancelled reading too: nobody knows where its consumer stands
                await self.close()
                raise

    async def close(self) -> None:
        """Let go; a reading at hand ends with BrokerUnavailable."""
        log, self._log = self._log, None
        if log is not None:
            await log.__aexit__(None, None, None)

    async def _fresh(self) -> Log:
        if self._log is not None and monotonic() - self._opened > GOOD_SECONDS:
            await self.close()
        if self._log is None:
            self._log, self._opened = await Log(self._settings).__aenter__(), monotonic()
        return self._log
