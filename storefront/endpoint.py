"""One way for every request: who calls, how often, what is asked, the handler, the answer or a problem."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

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
    that the handler itself answers with. A handler returns the answer's Struct, or a whole Response.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Struct | Response]]
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
        return Route(self.path, self._run, methods=[self.method], name=f"{self.method} {self.path}")

    async def _run(self, request: Request) -> Response:
        window: Window = request.app.state.window
        started = perf_counter()
        try:
            response = await self._answered(window, request)
        except DaogouError as error:
            response = problem_of(error)
        except ClientDisconnect:
            response = Response(status_code=400)
        _count(window.parts.metrics, self.path, response.status_code, perf_counter() - started)
        return response

    async def _answered(self, window: Window, request: Request) -> Response:
        caller = window.parts.access.who(request.headers.get("authorization", ""))
        may(caller, self.roles)
        if caller.role in LIMITED:
            window.limits.take(caller.user or (request.client.host if request.client else ""))
        raw = await _body(request, window.settings.api.body_limit) if self.body or self.raw else b""
        query = _query(self.query, request) if self.query else None
        body = _decoded(self.body, raw) if self.body else None
        found = await self.handler(Call(window, caller, query, body, raw, request.path_params, request))
        if isinstance(found, Response):
            return found
        return Response(msgspec.json.encode(found), self.status, media_type=JSON)


def _count(metrics: Metrics, path: str, status: int, seconds: float) -> None:
    metrics.requests.labels(path, str(status)).inc()
    metrics.request_seconds.labels(path).observe(seconds)


async def _body(request: Request, limit: int) -> bytes:
    """The body, read no further than the limit. Raises: Oversize."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > limit:
            raise Oversize(Reason.OVERSIZE, f"the body is longer than {limit:,} bytes; send less at a time")
        parts.append(part)
    return b"".join(parts)


def _query(kind: type[Struct], request: Request) -> Struct:
    """The query string as a Struct. Raises: Unreadable, naming the parameter."""
    given = {name: value for name, value in request.query_params.items() if value != ""}
    strangers = sorted(given.keys() - {field.encode_name for field in msgspec.structs.fields(kind)})
    if strangers:
        raise Unreadable(Reason.INVALID_FIELD, f"there is no parameter {', '.join(strangers)}")
    if repeated := sorted(name for name in given if len(request.query_params.getlist(name)) > 1):
        raise Unreadable(Reason.INVALID_FIELD, f"{', '.join(repeated)} is there more than once")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(Reason.INVALID_FIELD, f"query: {error}") from error


def _decoded(kind: type[Struct], raw: bytes) -> Struct:
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"body: {error}") from error
