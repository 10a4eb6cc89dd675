"""Decoding with our errors: what msgspec says is wrong, as ``Unreadable`` with its stable reason."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from contracts.errors import Reason, Unreadable

T_co = TypeVar("T_co", covariant=True)


class Decoder(Protocol[T_co]):
    """JSON's or msgpack's."""

    def decode(self, buf: bytes, /) -> T_co:
        """Bytes as the decoder's type."""


def invalid(_message: str) -> Reason:
    """A field is not what it should be, whichever it is."""
    return Reason.INVALID_FIELD


def read(decoder: Decoder[T_co], value: bytes, reason: Callable[[str], Reason] = invalid) -> T_co:
    """``value`` as what ``decoder`` decodes; ``reason`` tells apart what validation found.

    Raises:
        Unreadable: the message names the field and what it should be.
    """
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise Unreadable(reason(str(error)), str(error)) from error
    except UnicodeDecodeError as error:
        raise Unreadable(Reason.NOT_UTF8, str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(Reason.NOT_JSON, str(error)) from error
