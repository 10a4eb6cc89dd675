"""Dead letters: as they came and back again, whatever anybody else writes into their headers."""

from typing import NamedTuple

from contracts.errors import Reason, Unacceptable
from contracts.messages import Header
from streams.dead_letters import decode_letter, encode_headers, letter_of


class Record(NamedTuple):
    """What the consumer gives."""

    key: bytes | None = b"u1"
    value: bytes | None = b"\xff not json"
    headers: tuple[tuple[str, bytes], ...] = (("traceparent", b"00-1"), ("traceparent", b"00-2"))
    topic: str = "clickstream"
    partition: int = 3
    offset: int = 41


ERROR = Unacceptable(Reason.KEY_MISMATCH, "the key is not the user")


def test_there_and_back() -> None:
    letter = letter_of(Record(), ERROR, failed_ms=5, group="daogou")
    back = decode_letter(Record(headers=tuple(encode_headers(letter)), topic="clickstream.dead-letters"))
    assert back == letter
    assert back.headers == (Header("traceparent", b"00-1"), Header("traceparent", b"00-2"))


def test_attempts_count_up_over_redrives() -> None:
    again = Record(headers=(("daogou.attempts", b"2"),))
    assert letter_of(again, ERROR, 5, "daogou").attempts == 3


def test_nobody_forges_a_reason() -> None:
    forged = Record(headers=(("daogou.reason", b"oversize"), ("__streams.errors.offset", b"9")))
    headers = encode_headers(letter_of(forged, ERROR, 5, "daogou"))
    assert [value for name, value in headers if name == "daogou.reason"] == [b"key_mismatch"]


def test_a_foreign_letter_stops_nothing() -> None:
    foreign = Record(
        headers=(("daogou.reason", b"weather"), ("__streams.errors.offset", b"x"), ("daogou.attempts", b"\xff"))
    )
    letter = decode_letter(foreign)
    assert (letter.reason, letter.offset, letter.attempts) == (Reason.NOT_APPLICABLE, -1, 1)
