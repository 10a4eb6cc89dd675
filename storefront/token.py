"""Read-your-writes tokens: how far the log must be folded before an answer has a request's events in it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterable

import msgspec

from contracts.errors import Reason, Unreadable
from contracts.profile import Profile
from streams.producer import Sent

_DECODER = msgspec.msgpack.Decoder(dict[int, int])


def token_of(sent: Iterable[Sent]) -> str:
    """The highest offset of each partition."""
    last: dict[int, int] = {}
    for place in sent:
        last[place.partition] = max(last.get(place.partition, -1), place.offset)
    return urlsafe_b64encode(msgspec.msgpack.encode(last)).decode().rstrip("=")


def offset_for(token: str, partition: int) -> int:
    """The offset that a profile of ``partition`` must have; -1: none. Raises: Unreadable."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return _DECODER.decode(raw).get(partition, -1)
    except (Error, ValueError, msgspec.DecodeError) as error:
        raise Unreadable(Reason.INVALID_FIELD, "after: this is no token of POST /v1/events") from error


def has(profile: Profile | None, offset: int) -> bool:
    """Whether a profile was folded as far as ``offset``."""
    return offset < 0 or (profile is not None and profile.position is not None and profile.position.offset >= offset)
