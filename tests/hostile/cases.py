"""What a hostile request is made of."""

import time
from enum import Enum
from typing import Any, NamedTuple


class Fate(Enum):
    REFUSED = "refused"
    HARMLESS = "harmless"


class Hostile(NamedTuple):
    """``first`` is sent at once, then ``drip`` again and again, with ``pause`` seconds between, until it is over."""

    name: str
    fate: Fate
    first: bytes
    drip: bytes = b""
    pause: float = 0.0


class Keys(NamedTuple):
    """What a hostile caller may have got hold of."""

    page: str
    server: str
    visitor: str  # a visitor's token
    user: str  # whose it is
    other: str  # somebody else
    secret: str  # signs tokens; forgers do not have it, but what it signed may be old


def request(method: str, path: str, key: str = "", body: bytes = b"", **headers: str) -> bytes:
    """A request as a client would frame it; headers' underscores are dashes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: shop"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def view(user: str, **more: Any) -> dict[str, Any]:
    now = int(time.time() * 1000)
    return {"type": "view", "event_id": "e", "user_id": user, "time_ms": now, "item_id": "i1", **more}
