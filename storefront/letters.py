"""The last dead letters: read from their topic when somebody asks, at most every few seconds, and only what is new."""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any

from contracts.messages import DeadLetter
from contracts.operator_api import HeaderText, Letter, Letters, OpenLetter
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS
from storefront.board import causes
from streams.dead_letters import decode_letter
from streams.letters import read_letter
from streams.replay import Log, Span

KEPT = 10_000
EXCERPT = 300
GOOD_SECONDS = 3.0


class LastLetters:
    """Of one shop. ``KEPT`` letters are remembered, cut short; what is older is only counted as there."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._reading = settings, asyncio.Lock()
        self._kept: deque[Letter] = deque(maxlen=KEPT)
        self._ends: dict[int, int] = {}
        self._epoch = ""
        self._total = 0
        self._read_at = -GOOD_SECONDS

    async def newest(self, reason: str, limit: int) -> Letters:
        """At most ``limit``, newest first. Raises: BrokerUnavailable, TopicsRefused."""
        async with self._reading:
            if monotonic() - self._read_at > GOOD_SECONDS:
                await self._read()
                self._read_at = monotonic()
        wanted = [each for each in reversed(self._kept) if reason in ("", each.reason)]
        return Letters(
            letters=tuple(wanted[:limit]), reasons=causes(each.reason for each in self._kept),
            looked_at=len(self._kept), total=self._total,
        )  # fmt: skip

    async def _read(self) -> None:
        async with Log(self._settings.kafka) as log:
            if log.epoch(DEAD_LETTERS) != self._epoch:  # another life of the topic: its offsets begin again
                self._epoch, self._ends = log.epoch(DEAD_LETTERS), {}
                self._kept.clear()
            spans, new = await log.spans(DEAD_LETTERS), list[Letter]()
            for span in map(self._unread, spans):
                async for records in log.read(span):
                    new += map(letter_at, records)
        self._ends = {span.partition: span.end for span in spans}
        self._total = sum(span.end - span.begin for span in spans)
        self._kept.extend(sorted(new, key=lambda each: each.failed_ms))

    def _unread(self, span: Span) -> Span:
        """What of a partition is neither known nor too old to keep."""
        return span._replace(begin=max(span.begin, span.end - KEPT, self._ends.get(span.partition, 0)))


async def opened(settings: Settings, at: str) -> OpenLetter:
    """One letter whole. Raises: Missing, TopicsRefused, BrokerUnavailable."""
    letter = await asyncio.to_thread(read_letter, settings, at)
    value, binary = whole(letter.value)
    return OpenLetter(
        letter=_letter(at, letter, whole(letter.key)[0], value), exception=letter.exception, group=letter.group,
        headers=tuple(HeaderText(name=each.name, value=whole(each.value)[0]) for each in letter.headers),
        binary=binary,
    )  # fmt: skip


async def letters_at(settings: Settings, places: Sequence[str]) -> list[DeadLetter]:
    """The letters at these places. Raises: Missing, TopicsRefused, BrokerUnavailable."""
    return [await asyncio.to_thread(read_letter, settings, at) for at in dict.fromkeys(places)]


def letter_at(record: Any) -> Letter:
    """A record of the dead letters' topic, cut short."""
    letter = decode_letter(record)
    key, value = (whole(each[:EXCERPT] if each else each)[0] for each in (letter.key, letter.value))
    return _letter(f"{record.partition}/{record.offset}", letter, key, value)


def _letter(at: str, letter: DeadLetter, key: str, value: str) -> Letter:
    return Letter(
        at=at, reason=letter.reason.value, message=letter.message, topic=letter.topic, partition=letter.partition,
        offset=letter.offset, failed_ms=letter.failed_ms, attempts=letter.attempts, key=key, value=value,
    )  # fmt: skip


def whole(raw: bytes | None) -> tuple[str, bool]:
    """Bytes as text, and whether they are none: then each is shown escaped."""
    try:
        return (raw or b"").decode(), False
    except UnicodeDecodeError:
        return (raw or b"").decode("latin-1").encode("unicode_escape").decode(), True
