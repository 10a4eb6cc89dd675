"""Our own JSON: the fields of ``contracts/events.py`` by their names, tagged by ``type``."""

from collections.abc import Sequence

import msgspec

from contracts.errors import Reason
from contracts.events import AnyEvent
from contracts.reading import read as decoded

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def read(value: bytes, _headers: Sequence[tuple[str, bytes]]) -> AnyEvent:
    """One canonical event.

    Raises:
        Unreadable: with the reason; the message names the field and what it should be.
    """
    return decoded(_decoder, value, _reason)


def _reason(message: str) -> Reason:
    """From the message's fixed ends only: what is between them may be the sender's own words."""
    if message.endswith(" - at `$.user_id`") or message == "Object missing required field `user_id`":
        return Reason.NO_USER
    if message.endswith(" - at `$.type`") or message == "Object missing required field `type`":
        return Reason.UNKNOWN_TYPE
    return Reason.INVALID_FIELD
