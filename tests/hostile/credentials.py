"""Callers who are not whom they say."""

import json
import time
from collections.abc import Iterator
from typing import Any

from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from tests.hostile.cases import Fate, Hostile, Keys, request, view

DAY = 86_400


def tokens(keys: Keys) -> Iterator[Hostile]:
    """Credentials that are none, or are no longer, or not yet."""
    fresh = keys.visitor
    head, _, signature = fresh.rpartition(".")
    told = {
        "no key": "", "a blank": " ", "half a key": keys.server[:-1], "a longer key": keys.server + "x",
        "its role changed": "operator_" + keys.server.partition("_")[2], "in capitals": keys.server.upper(),
        "unsigned": head, "an empty signature": head + ".", "half a signature": f"{head}.{signature[:-4]}",
        "another's signature": f"{head}.{'A' * len(signature)}", "another user, the same signature":
            f"{token(keys, keys.other, secret='x' * 40).split('.')[0]}.{fresh.split('.', 1)[1]}",
        "forged": token(keys, keys.user, secret="a secret of the forger's own, long enough"),
        "of another salt": token(keys, keys.user, salt="other"), "expired": token(keys, keys.user, at=-400 * DAY),
        "from the future": token(keys, keys.user, at=400 * DAY), "a JWT without algorithm":
            "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoidSJ9.", "a hash, as the settings hold it": "0" * 64,
        "dots": "....", "a NUL": "\x01", "letters of another alphabet": "\xe9\xff", "a list": "[]",
    }  # fmt: skip
    for name, credential in told.items():
        raw = request("GET", "/v1/profile", Authorization=f"Bearer {credential}")
        yield Hostile(f"a credential: {name}", Fate.REFUSED, raw)
    basic = request("GET", "/v1/profile", Authorization="Basic b3BlcmF0b3I6b3BlcmF0b3I=")
    yield Hostile("a name and a password", Fate.REFUSED, basic)
    yield Hostile("a key without its scheme", Fate.REFUSED, request("GET", "/v1/profile", Authorization=keys.server))
    yield Hostile("a key in the address", Fate.REFUSED, request("GET", f"/v1/profile?user_id=u&key={keys.server}"))
    yield Hostile("a key in a cookie", Fate.REFUSED, request("GET", "/v1/trending", Cookie=f"key={keys.server}"))
    twice = request("GET", "/v1/operator", keys.visitor, authorization=f"Bearer {keys.server}")
    yield Hostile("two credentials", Fate.REFUSED, twice)
    signed = token(keys, {"user_id": keys.user})
    yield Hostile("signed, and no user", Fate.HARMLESS, request("GET", "/v1/trending", signed))


def token(keys: Keys, user: Any, secret: str = "", salt: str = "daogou visitor", at: int = 0) -> str:
    """A visitor's token as a process with this secret would make it, ``at`` seconds from now."""

    class Then(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time()) + at

    return str(URLSafeTimedSerializer(secret or keys.secret, salt=salt, signer=Then).dumps(user))


def others(keys: Keys) -> Iterator[Hostile]:
    """What is somebody else's."""
    refused, mine, other = Fate.REFUSED, keys.visitor, keys.other
    for path in (f"/v1/profile?user_id={other}", f"/v1/recommendations?user_id={other}", f"/v1/stream?user_id={other}"):
        yield Hostile(f"another's {path.split('?')[0]}", refused, request("GET", path, mine))
    yield Hostile("forget another", refused, request("DELETE", f"/v1/profile?user_id={other}", mine))
    yield Hostile("another's event", refused, request("POST", "/v1/events", mine, json.dumps(view(other)).encode()))
    mixed = json.dumps([view(keys.user), view(other)]).encode()
    yield Hostile("another's event among one's own", refused, request("POST", "/v1/events", mine, mixed))
    yield Hostile("a name for oneself", refused, request("POST", "/v1/visitors", keys.page, b'{"user_id": "victim"}'))
    yield Hostile("another's receipt", refused, request("GET", "/v1/recommendations/r-1/why", mine))
    item = b'{"item_id": "i1", "title": "mine"}'
    for who, key in (("page", keys.page), ("visitor", mine)):
        yield Hostile(f"a {who} writes the catalogue", refused, request("PUT", "/v1/catalogue/i1", key, item))
        yield Hostile(f"a {who} empties the catalogue", refused, request("DELETE", "/v1/catalogue/i1", key))
        yield Hostile(f"a {who} is an operator", refused, request("GET", "/v1/operator", key))
        yield Hostile(f"a {who} reads dead letters", refused, request("GET", "/v1/operator/dead-letters", key))
    yield Hostile("a server is an operator", refused, request("GET", "/v1/operator", keys.server))
    yield Hostile("a page reads a profile", refused, request("GET", f"/v1/profile?user_id={other}", keys.page))
    twice = f"/v1/profile?user_id={keys.user}&user_id={other}"
    yield Hostile("oneself and another", refused, request("GET", twice, mine))


FAMILIES = tokens, others
