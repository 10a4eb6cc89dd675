"""Inputs that cannot be processed: key, value and headers as they came, and why, in the headers of KIP-1034."""

from typing import Any

from contracts.errors import BadInput, Reason
from contracts.messages import DeadLetter, Header

PREFIX = "__streams.errors."
OURS = "daogou."
MESSAGE_LIMIT = 2_000
ATTEMPTS = f"{OURS}attempts"
ATTEMPT_DIGITS = 6  # the header may come from anybody


def letter_of(record: Any, error: BadInput, failed_ms: int, group: str) -> DeadLetter:
    """The dead letter of a consumed record; one that was sent back before counts its attempts."""
    before = dict(record.headers).get(ATTEMPTS) or b""
    return DeadLetter(
        reason=error.reason,
        message=str(error)[:MESSAGE_LIMIT],
        exception=type(error).__name__,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple(Header(name, value or b"") for name, value in record.headers),
        failed_ms=failed_ms,
        attempts=int(before) + 1 if before.isdigit() and len(before) <= ATTEMPT_DIGITS else 1,
        group=group,
    )


def encode_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """The original headers, then ours. A name of ours that came in from outside is dropped: nobody forges a reason."""
    fields = {
        f"{PREFIX}exception": letter.exception,
        f"{PREFIX}message": letter.message,
        f"{PREFIX}topic": letter.topic,
        f"{PREFIX}partition": str(letter.partition),
        f"{PREFIX}offset": str(letter.offset),
        f"{OURS}reason": letter.reason.value,
        ATTEMPTS: str(letter.attempts),
        f"{OURS}failed-ms": str(letter.failed_ms),
        f"{OURS}group": letter.group,
    }
    kept = [(header.name, header.value) for header in letter.headers if header.name not in fields]
    return kept + [(name, text.encode(errors="replace")) for name, text in fields.items()]


def decode_letter(record: Any) -> DeadLetter:
    """A record of the dead-letter topic. What is not ours in its headers is the original's.

    Whoever else writes there may write anything: what is not as we write it counts as unknown, and stops nothing.
    """
    ours = {name: (value or b"").decode(errors="replace") for name, value in record.headers if _is_ours(name)}
    return DeadLetter(
        reason=_reason(ours.get(f"{OURS}reason", "")),
        message=ours.get(f"{PREFIX}message", ""),
        exception=ours.get(f"{PREFIX}exception", ""),
        topic=ours.get(f"{PREFIX}topic", ""),
        partition=_number(ours.get(f"{PREFIX}partition", ""), -1),
        offset=_number(ours.get(f"{PREFIX}offset", ""), -1),
        key=record.key,
        value=record.value,
        headers=tuple(Header(name, value or b"") for name, value in record.headers if not _is_ours(name)),
        failed_ms=_number(ours.get(f"{OURS}failed-ms", ""), 0),
        attempts=_number(ours.get(ATTEMPTS, ""), 1),
        group=ours.get(f"{OURS}group", ""),
    )


def _is_ours(name: str) -> bool:
    return name.startswith((PREFIX, OURS))


def _reason(code: str) -> Reason:
    try:
        return Reason(code)
    except ValueError:
        return Reason.NOT_APPLICABLE


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else otherwise
