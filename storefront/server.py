"""The HTTP server: what one connection may cost before a handler sees it, and how all of them end.

uvicorn on httptools (llhttp, strict: what smuggles a request is no request) and uvloop, and around its protocol the
limits that it lacks: a request has so many seconds and bytes to come in, a caller who does not read so many seconds to
read, and a process so many connections.
"""

import asyncio
import resource
from collections.abc import Sequence
from http import HTTPStatus
from socket import socket
from typing import Any

import httptools
import msgspec
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.settings import ApiSettings
from storefront.problems import MEDIA, body_of

KEEP_ALIVE_SECONDS = 10
GRACEFUL_SECONDS = 3
READING_SECONDS = 30.0  # what a caller has to read what was sent
DESCRIPTORS = 65_536  # files and sockets that the process asks for, where the machine allows it
IGNORED_BODY = 8  # so many body limits are read and thrown away, so that a caller hears why it is too large
UNREADABLE = "this is no HTTP request that can be answered safely"


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, and our limits for its connections."""

    def __init__(self, app: ASGIApp, api: ApiSettings) -> None:
        super().__init__(
            app, host=api.host, port=api.port, http=Guarded, ws="none", loop="uvloop", log_config=None,
            access_log=False, server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, proxy_headers=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS, backlog=api.connections,
        )  # fmt: skip
        self.api = api


def serve(app: ASGIApp, api: ApiSettings, sockets: Sequence[socket] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    allow_connections()
    uvicorn.Server(ServerConfig(app, api)).run(list(sockets) if sockets else None)


def allow_connections() -> None:
    """As many files and sockets as the machine lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


class Guarded(HttpToolsProtocol):
    """One connection. A refusal is a problem like any other, and ends the connection."""

    config: ServerConfig

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arriving: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._in_head = self._in_message = False
        self._head_bytes = self._message_bytes = 0
        self._status = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller. One more than the limit hears when to come again."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self.config.api.connections:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self.config.api.connections:,} connections are open already"
            )
        else:
            self._await_message()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone, and so are our timers."""
        self._arrived()
        self._read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes. Those of a head that is not complete, and of a body that nobody wants, are counted."""
        self._message_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._head_bytes += len(data) if self._in_head else 0
        if self._head_bytes > self.config.api.head_limit:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, self._too_long())
        elif self._message_bytes > self.config.api.head_limit + IGNORED_BODY * self.config.api.body_limit:
            self.transport.abort()
        elif self._in_message or self.cycle is None or self.cycle.response_complete:
            self._await_message()

    def on_message_begin(self) -> None:
        """A request's first bytes."""
        super().on_message_begin()
        self._in_head = self._in_message = True
        self._head_bytes = self._message_bytes = 0

    def on_headers_complete(self) -> None:
        """A request's head, which may have come at once and be too large all the same."""
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        if size > self.config.api.head_limit:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise httptools.HttpParserError(self._too_long())
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The whole request is there; it may take its time from now on."""
        self._in_message = False
        self._message_bytes = 0
        self._arrived()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The caller does not read what was sent."""
        super().pause_writing()
        self._reading = self._reading or self.loop.call_later(READING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads again."""
        self._read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed, in our own words; uvicorn's name for it."""
        too_long = self._status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(self._status, self._too_long() if too_long else UNREADABLE)

    def _too_long(self) -> str:
        return f"the address and headers are longer than {self.config.api.head_limit:,} bytes"

    def _await_message(self) -> None:
        if self._arriving is None:
            self._arriving = self.loop.call_later(self.config.api.request_seconds, self._too_slow)

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_slow(self) -> None:
        self._arriving = None
        seconds = self.config.api.request_seconds
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the request took longer than {seconds:g} s to come in")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Say why, unless an answer is on its way already, and hang up."""
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if not (busy and self.cycle.response_started):
            self.transport.write(refusal(status, detail))
        if busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def refusal(status: HTTPStatus, detail: str) -> bytes:
    """A whole answer that ends its connection."""
    body = msgspec.json.encode(body_of(status, detail))
    later = "retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA}\r\ncontent-length: {len(body)}\r\n"
        f"{later}connection: close\r\n\r\n"
    )
    return head.encode() + body
