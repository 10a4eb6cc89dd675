"""Errors as problems (RFC 9457): what is wrong, and what to do. Never a trace, never what a caller sent as a secret."""

import msgspec
from starlette.responses import Response

from contracts.api import Problem
from contracts.errors import (
    BadInput,
    CallerRefused,
    DaogouError,
    Missing,
    Overloaded,
    Oversize,
    TooMany,
    Unacceptable,
    Unavailable,
)  # fmt: skip

MEDIA = "application/problem+json"
TITLES = {
    400: "The request cannot be read", 401: "Who calls?", 403: "Not allowed", 404: "Not there",
    405: "Not by this method", 408: "Too slow", 409: "Not possible", 413: "Too large", 422: "It must not be applied",
    429: "Too many requests", 431: "Too long", 503: "Not now",
}  # fmt: skip
STATUSES = (
    (Oversize, 413), (Unacceptable, 422), (BadInput, 400), (TooMany, 429), (Missing, 404), (Unavailable, 503),
)  # fmt: skip
LATER_SECONDS = {Overloaded: 1, TooMany: 1, Unavailable: 2}


def status_of(error: DaogouError) -> int:
    """The HTTP status of an error of ours; the first kind that it is counts."""
    if isinstance(error, CallerRefused):
        return 403 if error.known else 401
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 409)


def problem_of(error: DaogouError) -> Response:
    """The answer to a request that raised ``error``."""
    status = status_of(error)
    later = next((seconds for kind, seconds in LATER_SECONDS.items() if isinstance(error, kind)), None)
    headers = {} if later is None else {"Retry-After": str(later)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(status, str(error), headers)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem by its status."""
    return Response(msgspec.json.encode(body_of(status, detail)), status, headers, MEDIA)


def body_of(status: int, detail: str) -> Problem:
    """What a problem says."""
    return Problem(type="about:blank", title=TITLES.get(status, "Refused"), status=status, detail=detail)
