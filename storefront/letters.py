"""The last dead letters: read from their topic when somebody asks, at most every few seconds, and only what is new."""

import asyncio
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Any

from contracts.errors import Missing
from contracts.messages import DeadLetter
from contracts.operator_api import HeaderText, Letter, Letters, OpenLetter
from contracts.settings import KafkaSettings
from contracts.topics import DEAD_LETTERS
from storefront.board import causes
from storefront.open_log import OpenLog
from streams.dead_letters import decode_letter
from streams.replay import Span

KEPT = 10_000
EXCERPT = 300
GOOD_SECONDS = 3.0


class LastLetters:
    """Of one shop. ``KEPT`` letters are remembered, cut short; what is older is only counted as there."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._log, self._reading = OpenLog(settings), asyncio.Lock()
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

    async def at(self, places: Iterable[str]) -> list[DeadLetter]:
        """The letters at these places, whole, each once. Raises: Missing, TopicsRefused, BrokerUnavailable."""
        async with self._log.reading() as log:
            spans = {span.partition: span for span in await log.spans(DEAD_LETTERS)}
            wanted = [_place(spans, each) for each in dict.fromkeys(places)]
            return [decode_letter(record) for span in wanted async for records in log.read(span) for record in records]

    async def close(self) -> None:
        """Let go."""
        await self._log.close()

    async def _read(self) -> None:
        new: list[Letter] = []
        async with self._log.reading() as log:
            if log.epoch(DEAD_LETTERS) != self._epoch:  # another life of the topic: its offsets begin again
                self._epoch, self._ends = log.epoch(DEAD_LETTERS), {}
                self._kept.clear()
            spans = await log.spans(DEAD_LETTERS)
            for span in map(self._unread, spans):
                async for records in log.read(span):
                    new += map(letter_at, records)
        self._ends = {span.partition: span.end for span in spans}
        self._total = sum(span.end - span.begin for span in spans)
        self._kept.extend(sorted(new, key=lambda each: each.failed_ms))

    def _unread(self, span: Span) -> Span:
        """What of a partition is neither known nor too old to keep."""
        return span._replace(begin=max(span.begin, span.end - KEPT, self._ends.get(span.partition, 0)))


def _place(spans: dict[int, Span], at: str) -> Span:
    """The one record at PARTITION/OFFSET. Raises: Missing."""
    number, _, offset = at.partition("/")
    span = spans.get(int(number))
    if span is None or not span.begin <= int(offset) < span.end:
        raise Missing(f"there is no dead letter at {at}; one that is older than its topic keeps is gone")
    return span._replace(begin=int(offset), end=int(offset) + 1)


def opened(at: str, letter: DeadLetter) -> OpenLetter:
    """One letter whole."""
    value, binary = whole(letter.value)
    return OpenLetter(
        letter=_letter(at, letter, whole(letter.key)[0], value), exception=letter.exception, group=letter.group,
        headers=tuple(HeaderText(name=each.name, value=whole(each.value)[0]) for each in letter.headers),
        binary=binary,
    )  # fmt: skip


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
