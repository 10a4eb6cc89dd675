"""The last dead letters, read from their topic at most every few seconds, however many ask."""

import asyncio
from time import monotonic
from typing import Any

from contracts.api import Letter
from contracts.settings import KafkaSettings
from contracts.topics import DEAD_LETTERS
from streams.dead_letters import decode_letter
from streams.replay import Log

SHOWN = 50
EXCERPT = 500
GOOD_SECONDS = 3.0


class LastLetters:
    """Of one shop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings, self._reading = settings, asyncio.Lock()
        self._found: tuple[Letter, ...] = ()
        self._read_at = -GOOD_SECONDS

    async def newest(self) -> tuple[Letter, ...]:
        """At most ``SHOWN``, newest first. Raises: BrokerUnavailable, TopicsRefused."""
        async with self._reading:
            if monotonic() - self._read_at > GOOD_SECONDS:
                self._found, self._read_at = await self._read(), monotonic()
        return self._found

    async def _read(self) -> tuple[Letter, ...]:
        found: list[Letter] = []
        async with Log(self._settings) as log:
            for span in await log.spans(DEAD_LETTERS):
                async for records in log.read(span._replace(begin=max(span.begin, span.end - SHOWN))):
                    found += map(_letter, records)
        return tuple(sorted(found, key=lambda each: -each.failed_ms)[:SHOWN])


def _letter(record: Any) -> Letter:
    letter = decode_letter(record)
    return Letter(
        reason=letter.reason.value, message=letter.message, partition=letter.partition, offset=letter.offset,
        failed_ms=letter.failed_ms, key=(letter.key or b"").decode(errors="replace")[:EXCERPT],
        value=(letter.value or b"").decode(errors="replace")[:EXCERPT],
    )  # fmt: skip
