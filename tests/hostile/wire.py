"""What never ends, is too much, or is no HTTP."""

import json
from collections.abc import Iterator

from tests.hostile.cases import Fate, Hostile, Keys, request, view


def slow(keys: Keys) -> Iterator[Hostile]:
    """Who sends a byte now and then, or nothing at all."""
    refused = Fate.REFUSED
    post = f"POST /v1/events HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {keys.server}\r\n".encode()
    yield Hostile("says nothing", refused, b"")
    yield Hostile("a head that never ends", refused, b"GET /health/live HTTP/1.1\r\n", b"X-A: b\r\n", 0.05)
    yield Hostile("a header that never ends", refused, b"GET /health/live HTTP/1.1\r\nX-A: ", b"b", 0.05)
    yield Hostile("a method that never ends", refused, b"G", b"", 0.05)
    yield Hostile("an address that never ends", refused, b"GET /", b"a", 0.05)
    yield Hostile("a body byte by byte", refused, post + b"Content-Length: 1000\r\n\r\n", b"[", 0.05)
    yield Hostile("a body that does not come", refused, post + b"Content-Length: 1000\r\n\r\n")
    yield Hostile("chunks byte by byte", refused, post + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n[\r\n", 0.05)
    yield Hostile("a chunk's size that does not come", refused, post + b"Transfer-Encoding: chunked\r\n\r\n")
    yield Hostile("continue, and then nothing", refused, post + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    yield Hostile("empty lines for ever", refused, b"\r\n", b"\r\n", 0.05)
    got = request("GET", "/health/live", Content_Length="100")
    yield Hostile("a body that a GET never finishes", Fate.HARMLESS, got, b"x", 0.05)
    yield Hostile("after an answer, empty lines", Fate.HARMLESS, request("GET", "/health/live"), b"\r\n", 0.05)


def endless(keys: Keys) -> Iterator[Hostile]:
    """Who never stops sending."""
    refused, piece = Fate.REFUSED, b"x" * 16_384
    chunk = b"4000\r\n" + piece + b"\r\n"
    post = f"POST /v1/events HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {keys.server}\r\n".encode()
    yield Hostile("chunks without end", refused, post + b"Transfer-Encoding: chunked\r\n\r\n", chunk)
    yield Hostile("a chunk's extension without end", refused, post + b"Transfer-Encoding: chunked\r\n\r\n1;", piece)
    yield Hostile("a chunk's size without end", refused, post + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 16_384)
    yield Hostile("trailers without end", refused, post + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 999)
    yield Hostile("a header without end", refused, b"GET / HTTP/1.1\r\nX: ", piece)
    yield Hostile("a header's name without end", refused, b"GET / HTTP/1.1\r\n", piece)
    yield Hostile("an address without end", refused, b"GET /", piece)
    yield Hostile("a method without end", refused, b"", b"G" * 16_384)
    yield Hostile("headers without end", refused, b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 999)
    yield Hostile("zeros without end", refused, b"", b"\0" * 16_384)
    yield Hostile(
        "a body to nobody, without end", refused, request("POST", "/nowhere", Content_Length="999999999"), piece
    )
    get = request("GET", "/health/live", Transfer_Encoding="chunked")
    yield Hostile("chunks without end to a GET", Fate.HARMLESS, get, chunk)


def huge(keys: Keys) -> Iterator[Hostile]:
    """Too much at once."""
    refused, key, slate = Fate.REFUSED, keys.server, "/v1/recommendations?user_id=u&"
    yield Hostile("an address of 100 kB", refused, request("GET", "/v1/items/" + "a" * 100_000, key))
    yield Hostile("a query of 100 kB", refused, request("GET", "/v1/search?q=" + "a" * 100_000, key))
    yield Hostile("a header of 100 kB", refused, request("GET", "/health/live", X="a" * 100_000))
    yield Hostile("a key of 100 kB", refused, request("GET", "/v1/trending", "server_" + "a" * 100_000))
    yield Hostile("10,000 headers", refused, request("GET", "/health/live", **{f"X{n}": "a" for n in range(10_000)}))
    yield Hostile("a body over the limit", refused, request("POST", "/v1/events", key, b"[" + b" " * 1_200_000))
    yield Hostile("a length of 2**63", refused, request("POST", "/v1/events", key, Content_Length=str(2**63)))
    yield Hostile("a length of 2**64", refused, request("POST", "/v1/events", key, Content_Length=str(2**64)))
    yield Hostile("a chunk of 2**64", refused, request("POST", "/v1/events", key, Transfer_Encoding="chunked")
                  + b"10000000000000000\r\n")  # fmt: skip
    many = json.dumps([view("u")] * 1_001).encode()
    yield Hostile("1,001 events", refused, request("POST", "/v1/events", key, many))
    one = json.dumps(view("u", text="x" * 900_000)).encode()
    yield Hostile("an event of 900 kB", Fate.HARMLESS, request("POST", "/v1/events", key, one))
    yield Hostile("an id of 5,000 characters", refused, request("GET", f"/v1/profile?user_id={'u' * 5_000}", key))
    yield Hostile(
        "a surface of 5,000 characters",
        refused,
        request("GET", f"{slate}surface={'s' * 5_000}", key),
    )
    yield Hostile("9,000 excluded", Fate.HARMLESS, request("GET", f"{slate}exclude={',' * 9_000}", key))
    yield Hostile("20,000 excluded", refused, request("GET", f"{slate}exclude={',' * 20_000}", key))
    yield Hostile("a query of 5,000 words", refused, request("GET", "/v1/search?q=" + "a+" * 5_000, key))
    yield Hostile(
        "3,000 parameters", refused, request("GET", "/v1/search?" + "&".join(f"a{n}=1" for n in range(3_000)), key)
    )
    yield Hostile(
        "a token to wait for of 3 kB",
        refused,
        request("GET", f"{slate}after={'A' * 3_000}", key),
    )


def framing(keys: Keys) -> Iterator[Hostile]:
    """What two servers in a row might read differently, and what is no HTTP."""
    refused = Fate.REFUSED
    post = f"POST /v1/events HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {keys.server}\r\n"
    inner = "GET /v1/operator HTTP/1.1\r\nHost: shop\r\n\r\n"
    heads = {
        "length and chunks": f"{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        "chunks and length": f"{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}",
        "two lengths": f"{post}Content-Length: 2\r\nContent-Length: 5\r\n\r\n[]{inner}",
        "a length of two": f"{post}Content-Length: 2, 2\r\n\r\n[]",
        "a negative length": f"{post}Content-Length: -1\r\n\r\n",
        "a length with a plus": f"{post}Content-Length: +2\r\n\r\n[]",
        "a length in hexadecimal": f"{post}Content-Length: 0x2\r\n\r\n[]",
        "a length of a word": f"{post}Content-Length: two\r\n\r\n[]",
        "an empty length": f"{post}Content-Length: \r\n\r\n[]",
        "chunked twice": f"{post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "chunked in disguise": f"{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "chunked, then something": f"{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "chunked after a tab": f"{post}Transfer-Encoding:\tchunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        "a blank before the colon": f"{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "a folded header": f"{post}X: a\r\n  b\r\nContent-Length: 2\r\n\r\n[]",
        "a folded transfer": f"{post}Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n[]",
        "a bare carriage return": f"{post}X: a\rContent-Length: 2\r\n\r\n[]",
        "a bare line feed in a header": f"{post}X: a\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n[]",
        "a NUL in a header": f"{post}X: a\0b\r\nContent-Length: 2\r\n\r\n[]",
        "a NUL in a name": f"{post}X\0: a\r\nContent-Length: 2\r\n\r\n[]",
        "a header without a name": f"{post}: a\r\nContent-Length: 2\r\n\r\n[]",
        "a header without a colon": f"{post}nothing\r\nContent-Length: 2\r\n\r\n[]",
        "a chunk's size with a sign": f"{post}Transfer-Encoding: chunked\r\n\r\n+2\r\n[]\r\n0\r\n\r\n",
        "a chunk's size of a word": f"{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n",
        "a chunk longer than it says": f"{post}Transfer-Encoding: chunked\r\n\r\n1\r\n[]\r\n0\r\n\r\n",
        "HTTP/0.9": "GET /\r\n",
        "HTTP/0.9 with a version": "GET / HTTP/0.9\r\n\r\n",
        "HTTP/9.9": "GET / HTTP/9.9\r\n\r\n",
        "HTTP/2 without asking": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "no version": "GET / HTTP\r\n\r\n",
        "a blank line in the address": "GET /a b HTTP/1.1\r\n\r\n",
        "an address with a line break": "GET /a\r\nX: b HTTP/1.1\r\n\r\n",
        "an address of letters": "GET nothing HTTP/1.1\r\nHost: shop\r\n\r\n",
        "a tunnel": "CONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n\r\n",
        "a websocket": "GET /v1/stream HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        "HTTP/2 by upgrade": "GET /v1/trending HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                             "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        "a mail": "HELO shop\r\nMAIL FROM:<a@b>\r\n", "a Redis command": "*1\r\n$8\r\nFLUSHALL\r\n",
        "a Redis command in a line": "FLUSHALL\r\n", "SSH": "SSH-2.0-OpenSSH_9.9\r\n",
    }  # fmt: skip
    for name, head in heads.items():
        yield Hostile(name, refused, head.encode("latin-1"))
    yield Hostile("TLS to a plain port", refused, bytes.fromhex("1603010200010001fc0303") + b"\x11" * 500)
    yield Hostile("random bytes", refused, bytes((n * 7919 + 13) % 256 for n in range(4_096)))
    two = request("GET", "/health/live") + request("GET", "/v1/operator")
    yield Hostile("two at once, the second without a key", Fate.HARMLESS, two)
    yield Hostile("a thousand at once", Fate.HARMLESS, request("GET", "/health/live") * 1_000)
    yield Hostile("an absolute address", refused, b"GET http://evil/v1/operator HTTP/1.1\r\nHost: shop\r\n\r\n")
    yield Hostile("two hosts", refused, b"GET /v1/trending HTTP/1.1\r\nHost: shop\r\nHost: evil\r\n\r\n")
    yield Hostile("no host", refused, b"GET /v1/trending HTTP/1.1\r\n\r\n")


FAMILIES = slow, endless, huge, framing
