"""One way for every request: who calls, how often, what is asked, the handler, the answer or a problem."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contracts.errors import DaogouError, Oversize, Reason, Unreadable
from contracts.metrics import Metrics
from storefront.access import Caller, Role, may
from storefront.problems import problem_of
from storefront.window import Window

JSON = "application/json"
LIMITED = (Role.PAGE, Role.VISITOR)


class Call(NamedTuple):
    """One request as a handler sees it. ``query`` and ``body`` are what the endpoint says, checked."""

    window: Window
    caller: Caller
    query: Any
    body: Any
    raw: bytes
    path: dict[str, str]
    request: Request


class Endpoint(NamedTuple):
    """One line of the table of routes; OpenAPI is made of it too.

    ``query`` and ``body`` are Structs, or None; ``raw``: the handler reads the body itself. ``also``: further statuses
    that the handler itself answers with. A handler returns the answer's Struct, its JSON, or a whole Response.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Struct | bytes | Response]]
    summary: str
    answer: type[Struct] | None
    roles: tuple[Role, ...]
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    raw: bool = False
    status: int = 200
    also: tuple[int, ...] = ()

    def route(self) -> Route:
        """Where Starlette finds it."""
        return Route(self.path, Way(self), methods=[self.method], name=f"{self.method} {self.path}")


class Way:
    """An endpoint as an ASGI application: what is the same for all of its requests is made once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._query = QueryReader(endpoint.query) if endpoint.query else None
        self._counts: dict[int, tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        window: Window = scope["app"].state.window
        started = perf_counter()
        try:
            response = await self._answered(window, Request(scope, receive, send))
        except DaogouError as error:
            response = problem_of(error)
        except ClientDisconnect:
            response = Response(status_code=400)
        self._count(window.parts.metrics, response.status_code, perf_counter() - started)
        await response(scope, receive, send)

    async def _answered(self, window: Window, request: Request) -> Response:
        way = self._endpoint
        caller = window.parts.access.who(_header(request.scope, b"authorization"))
        may(caller, way.roles)
        if caller.role in LIMITED:
            window.limits.take(caller.user or (request.client.host if request.client else ""))
        raw = await _body(request, window.settings.api.body_limit) if way.body or way.raw else b""
        query = self._query.read(request.scope["query_string"]) if self._query else None
        body = _decoded(way.body, raw) if way.body else None
        found = await way.handler(Call(window, caller, query, body, raw, request.path_params, request))
        if isinstance(found, Response):
            return found
        return Response(found if isinstance(found, bytes) else msgspec.json.encode(found), way.status, media_type=JSON)

    def _count(self, metrics: Metrics, status: int, seconds: float) -> None:
        if status not in self._counts:
            path = self._endpoint.path
            self._counts[status] = metrics.requests.labels(path, str(status)), metrics.request_seconds.labels(path)
        requests, took = self._counts[status]
        requests.inc()
        took.observe(seconds)


class QueryReader:
    """Query strings as Structs of one kind."""

    def __init__(self, kind: type[Struct]) -> None:
        self._kind = kind
        self._names = {field.encode_name for field in msgspec.structs.fields(kind)}

    def read(self, raw: bytes) -> Struct:
        """One query string; what is empty is not there. Raises: Unreadable, naming the parameter."""
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
        given = {name: value for name, value in pairs if value}
        if strangers := given.keys() - self._names:
            raise Unreadable(Reason.INVALID_FIELD, f"there is no parameter {', '.join(sorted(strangers))}")
        if len(pairs) > len(given) and (repeated := _repeated(pairs, given)):
            raise Unreadable(Reason.INVALID_FIELD, f"{', '.join(repeated)} is there more than once")
        try:
            return msgspec.convert(given, self._kind, strict=False)
        except msgspec.ValidationError as error:
            raise Unreadable(Reason.INVALID_FIELD, f"query: {error}") from error


def _repeated(pairs: Sequence[tuple[str, str]], given: Mapping[str, str]) -> list[str]:
    named = [name for name, _ in pairs]
    return sorted(name for name in given if named.count(name) > 1)


def _header(scope: Scope, wanted: bytes) -> str:
    """One header; the first where there are many, and nothing where there is none."""
    found: bytes = next((value for name, value in scope["headers"] if name == wanted), b"")
    return found.decode("latin-1")


async def _body(request: Request, limit: int) -> bytes:
    """The body, read no further than the limit. Raises: Oversize."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > limit:
            raise Oversize(Reason.OVERSIZE, f"the body is longer than {limit:,} bytes; send less at a time")
        parts.append(part)
    return b"".join(parts)


def _decoded(kind: type[Struct], raw: bytes) -> Struct:
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"body: {error}") from error
