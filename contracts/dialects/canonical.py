"""Our own JSON: the fields of ``contracts/events.py`` by their names, tagged by ``type``."""

from collections.abc import Sequence

import msgspec

from contracts.errors import Reason, Unreadable
from contracts.events import AnyEvent

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def read(value: bytes, _headers: Sequence[tuple[str, bytes]]) -> AnyEvent:
    """One canonical event.

    Raises:
        Unreadable: with the reason; the message names the field and what it should be.
    """
    try:
        return _decoder.decode(value)
    except msgspec.ValidationError as error:
        raise Unreadable(_reason(str(error)), str(error)) from error
    except UnicodeDecodeError as error:
        raise Unreadable(Reason.NOT_UTF8, str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(Reason.NOT_JSON, str(error)) from error


def _reason(message: str) -> Reason:
    """From the message's fixed ends only: what is between them may be the sender's own words."""
    if message.endswith(" - at `$.user_id`") or message == "Object missing required field `user_id`":
        return Reason.NO_USER
    if message.endswith(" - at `$.type`") or message == "Object missing required field `type`":
        return Reason.UNKNOWN_TYPE
    return Reason.INVALID_FIELD
