"""The only place where bytes become Structs, and Structs bytes.

JSON on topics (people and other programs read them), msgpack in Redis and in our own files (only we do).
"""

from collections.abc import Sequence
from sys import intern
from typing import Any, TypeVar, cast

import msgspec

from contracts.dialects import to_event
from contracts.errors import Oversize, Reason, Unacceptable, Unreadable
from contracts.events import KIND_OF, AnyEvent, Event, Line
from contracts.messages import CatalogueItem, Embedding, Slate
from contracts.profile import Profile
from contracts.reading import read
from contracts.rules import RULE_LIMIT, Rule

Header = tuple[str, bytes]

EVENT_LIMIT = 1_000_000
EARLIEST_MS = 946_684_800_000  # 2000-01-01: no shop's clickstream is older
FUTURE_MS = 86_400_000  # a clock may be wrong by a day, not by more

S = TypeVar("S", bound=msgspec.Struct)

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_profile = msgspec.msgpack.Decoder(Profile)
_item = msgspec.json.Decoder(CatalogueItem)
_embedding = msgspec.msgpack.Decoder(Embedding)
_slate = msgspec.json.Decoder(Slate)
_rule = msgspec.json.Decoder(Rule)
_plain = msgspec.msgpack.Decoder()
_made = {make.__struct_config__.tag: make for make in KIND_OF}


def decode_event(
    value: bytes | None,
    key: bytes | None,
    headers: Sequence[Header],
    timestamp_ms: int,
    limit: int = EVENT_LIMIT,
) -> AnyEvent:
    """One record of the clickstream as an event, whatever its dialect.

    ``timestamp_ms`` is the record's own time in Kafka: an event that claims to be from a little after it is
    clamped to it (a shop's clock may be fast).

    Raises:
        BadInput: with the stable reason, where the record can never be an event.
    """
    if not value:
        raise Unreadable(Reason.EMPTY, "the record has no value; an event is a JSON object")
    _check_size(value, limit, "an event")
    event = to_event(value, headers)
    _check_key(event, key)
    return _with_possible_time(event, timestamp_ms)


def read_posted(value: bytes, now_ms: int, limit: int = EVENT_LIMIT) -> AnyEvent:
    """An event that a page or a server posts: as ``decode_event``, but that nobody has given it a key yet.

    Raises: BadInput.
    """
    _check_size(value, limit, "an event")
    return _with_possible_time(to_event(value, ()), now_ms)


def _check_size(value: bytes, limit: int, what: str) -> None:
    if len(value) > limit:
        raise Oversize(Reason.OVERSIZE, f"{len(value):,} bytes; the limit of {what} is {limit:,}")


def _check_key(event: Event, key: bytes | None) -> None:
    if key != event.user_id.encode():
        raise Unacceptable(
            Reason.KEY_MISMATCH,
            "the record's key is not the event's user_id; key the clickstream by user id, or order is lost",
        )


def _with_possible_time(event: AnyEvent, timestamp_ms: int) -> AnyEvent:
    if not EARLIEST_MS <= event.time_ms <= timestamp_ms + FUTURE_MS:
        raise Unacceptable(
            Reason.IMPOSSIBLE_TIME,
            f"time_ms {event.time_ms} is before 2000 or more than a day after its arrival ({timestamp_ms}); "
            "it is Unix time in milliseconds",
        )
    return event if event.time_ms <= timestamp_ms else msgspec.structs.replace(event, time_ms=timestamp_ms)


def encode_json(message: msgspec.Struct) -> bytes:
    """An event, a slate or an item as it goes on a topic."""
    return _json.encode(message)


def decode_item(value: bytes, limit: int = EVENT_LIMIT) -> CatalogueItem:
    """One catalogue record. Raises: BadInput."""
    _check_size(value, limit, "an item")
    return read(_item, value)


def decode_slate(value: bytes) -> Slate:
    """One slate. Raises: BadInput."""
    return read(_slate, value)


def decode_rule(value: bytes) -> Rule:
    """One of the shop's rules, its expression unread. Raises: BadInput."""
    _check_size(value, RULE_LIMIT, "a rule")
    return read(_rule, value)


def encode_embedding(embedding: Embedding) -> bytes:
    """An item's vector as it goes on its topic (msgpack: it is a vector, nobody reads it by eye)."""
    return _msgpack.encode(embedding)


def decode_embedding(value: bytes) -> Embedding:
    """One vector. Raises: BadInput."""
    return read(_embedding, value)


def encode_profile(profile: Profile) -> bytes:
    """A profile as it lies in Redis."""
    return _msgpack.encode(profile)


def decode_profile(value: bytes) -> Profile:
    """A profile out of Redis. Raises: BadInput."""
    return read(_profile, value)


def encode_own_event(event: AnyEvent) -> bytes:
    """An event as it lies in a file of ours."""
    return _msgpack.encode(event)


def decode_own_event(value: bytes) -> AnyEvent:
    """What ``encode_own_event`` wrote. It is not checked again: that is most of the time that decoding takes.

    An id that comes again is the same object, so that who keeps ids of many events keeps each of them once.
    """
    fields = _plain.decode(value)
    make = _made[fields.pop("type")]
    fields["user_id"] = intern(fields["user_id"])
    if "item_id" in fields:
        fields["item_id"] = intern(fields["item_id"])
    elif "items" in fields:
        fields["items"] = tuple(map(intern, fields["items"]))
    elif "lines" in fields:
        fields["lines"] = tuple(map(_own_line, fields["lines"]))
    return cast(AnyEvent, make(**fields))


def _own_line(fields: dict[str, Any]) -> Line:
    fields["item_id"] = intern(fields["item_id"])
    return Line(**fields)
