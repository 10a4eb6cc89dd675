"""What both agents do with a batch that does not go through: try again, find the record that breaks it, or end.

===================  ==============================================================================================
Unavailable          tried again, for as long as the partitions are ours: what is away comes back
Conflict             tried again (the profile is loaded afresh), but not for ever: then another worker has our work
BadInput             the batch is halved until the record is found; it is dead-lettered with the error's reason
Refused, Fatal       raised: the process ends with one clear line, and nothing was acked
anything else        a bug or a broken machine: a few times again, then halved as for BadInput
===================  ==============================================================================================

If record after record cannot be applied, it is not the records: the process ends before it empties the topic into
the dead letters.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from contracts.errors import BadInput, Conflict, DaogouError, Fenced, Reason, Stuck, Unavailable
from contracts.metrics import Metrics
from streams.progress import Progress

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 5.0
LONGEST_BACKOFF_UNKNOWN = 0.5
MOST_IN_A_ROW = 20

log = structlog.get_logger()

Alive = Callable[[], bool]


class Work(Protocol):
    """What is to be done with the records of one batch."""

    async def once(self, records: Sequence[Any]) -> None:
        """All of it. Doing it again must change nothing that was done."""

    async def bury(self, record: Any, error: BadInput) -> None:
        """Dead-letter one record. Raises: Unavailable."""


class Settler:
    """Gets batches done. ``retries`` bounds attempts that fail for no known reason, and conflicts."""

    def __init__(self, retries: int, metrics: Metrics, progress: Progress) -> None:
        self._retries, self._metrics, self._progress = retries, metrics, progress
        self._buried_in_a_row = 0

    async def settle(self, alive: Alive, work: Work, records: Sequence[Any]) -> bool:
        """Try until done. False: the partitions are somebody else's now. Raises: Refused, Fatal."""
        return await self._settled(alive, work, records, self._retries)

    async def _settled(self, alive: Alive, work: Work, records: Sequence[Any], patience: int) -> bool:
        attempt = 0
        while alive():
            attempt += 1
            try:
                await work.once(records)
            except Unavailable as error:
                await self._wait_for(error, attempt)
            except BadInput as error:
                return await self._split(alive, work, records, error)
            except DaogouError:
                raise
            except Exception as error:  # noqa: BLE001  the agent's edge: counted, tried again, bisected, dead-lettered
                if attempt >= patience:
                    return await self._split(alive, work, records, error)
                await self._hesitate(error, attempt)
            else:
                self._buried_in_a_row = 0
                return True
        return False

    async def _wait_for(self, error: Unavailable, attempt: int) -> None:
        self._metrics.retries.labels(type(error).__name__).inc()
        if isinstance(error, Conflict):
            if attempt > self._retries:
                raise Fenced(f"somebody else keeps writing what this worker owns: {error}") from error
        else:
            self._progress.waits()
            log.warning("trying again", attempt=attempt, error=str(error))
        await asyncio.sleep(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt, 10)))

    async def _hesitate(self, error: Exception, attempt: int) -> None:
        self._metrics.retries.labels(type(error).__name__).inc()
        log.error("a batch failed; trying again", attempt=attempt, error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(min(LONGEST_BACKOFF_UNKNOWN, FIRST_BACKOFF * 2 ** min(attempt, 10)))

    async def _split(self, alive: Alive, work: Work, records: Sequence[Any], error: Exception) -> bool:
        if len(records) > 1:
            half, patience = len(records) // 2, min(2, self._retries)
            first = await self._settled(alive, work, records[:half], patience)
            return first and await self._settled(alive, work, records[half:], patience)
        self._buried_in_a_row += 1
        cause = f"{type(error).__name__}: {error}"
        if self._buried_in_a_row > MOST_IN_A_ROW:
            raise Stuck(f"{MOST_IN_A_ROW} records in a row could not be applied; it is not them. The last: {cause}")
        log.error("a record cannot be applied", offset=records[0].offset, error=cause)
        bad = error if isinstance(error, BadInput) else BadInput(Reason.NOT_APPLICABLE, cause)
        return await self._buried(alive, work, records[0], bad)

    async def _buried(self, alive: Alive, work: Work, record: Any, error: BadInput) -> bool:
        attempt = 0
        while alive():
            attempt += 1
            try:
                await work.bury(record, error)
            except Unavailable as away:
                await self._wait_for(away, attempt)
            else:
                return True
        return False
