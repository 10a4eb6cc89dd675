"""What the operator asks: how it goes, and what could not be processed."""

from contracts.api import Letter, Letters, Operator
from contracts.topics import DEAD_LETTERS
from storefront.endpoint import Call
from streams.dead_letters import decode_letter
from streams.replay import Log

SHOWN = 50
EXCERPT = 500


async def get_operator(call: Call) -> Operator:
    """How it goes: now, and for the last hour."""
    return call.window.board.now()


async def get_dead_letters(call: Call) -> Letters:
    """The last inputs that could not be processed, newest first, and why. ``daogou dead-letters`` sends them back."""
    found: list[Letter] = []
    async with Log(call.window.settings.kafka) as log:
        for span in await log.spans(DEAD_LETTERS):
            async for records in log.read(span._replace(begin=max(span.begin, span.end - SHOWN))):
                found += [_letter(record) for record in records]
    return Letters(letters=tuple(sorted(found, key=lambda each: -each.failed_ms)[:SHOWN]))


def _letter(record: object) -> Letter:
    letter = decode_letter(record)
    return Letter(
        reason=letter.reason.value, message=letter.message, partition=letter.partition, offset=letter.offset,
        failed_ms=letter.failed_ms, key=(letter.key or b"").decode(errors="replace")[:EXCERPT],
        value=(letter.value or b"").decode(errors="replace")[:EXCERPT],
    )  # fmt: skip
