"""The dialects in which shops already emit events, each a mapping to the canonical event.

One file a dialect, with one function ``read(document, headers) -> AnyEvent | None`` (None: not mine). The canonical
form is tried first, because it decodes straight into a Struct.
"""

from collections.abc import Sequence

from contracts.dialects import canonical
from contracts.events import AnyEvent


def to_event(value: bytes, headers: Sequence[tuple[str, bytes]]) -> AnyEvent:
    """Bytes in any dialect that we know as the canonical event. Raises: BadInput."""
    return canonical.read(value, headers)
