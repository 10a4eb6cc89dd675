"""The ASGI application: the API, health, metrics, its own description, and the pages."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from swagger_ui_bundle import swagger_ui_path

from contracts.api import Health
from contracts.settings import ApiSettings
from storefront.endpoint import JSON
from storefront.openapi import document
from storefront.problems import problem
from storefront.table import ENDPOINTS
from storefront.window import Window

PAGES = Path(str(files("storefront") / "pages"))
HEADERS = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)  # fmt: skip


def build_app(window: Window) -> Starlette:
    """The application of one window; serving starts and stops it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await window.start()
        try:
            yield
        finally:
            await window.stop()

    app = Starlette(routes=_routes(window), middleware=_middleware(window), lifespan=lifespan,
                    exception_handlers={HTTPException: _refused})  # fmt: skip
    app.state.window = window
    return app


def _routes(window: Window) -> Sequence[BaseRoute]:
    routes: list[BaseRoute] = [each.route() for each in ENDPOINTS]
    described = document(ENDPOINTS, window.parts.engine.surfaces.names)

    async def openapi(_: Request) -> Response:
        return Response(described, media_type=JSON)

    routes += [
        Route("/openapi.json", openapi), Route("/metrics", _metrics),
        Route("/health/live", _live), Route("/health/ready", _ready),
    ]  # fmt: skip
    return routes + _pages(window.settings.api)


def _pages(settings: ApiSettings) -> list[BaseRoute]:
    """The operator's view and the page to try the API; the demo's shop only where it is asked for."""
    if not (settings.pages or settings.demo_shop):
        return []
    shop = Route("/shop/keys.json", _keys) if settings.demo_shop else Mount("/shop", routes=[])
    swagger = Mount("/docs/ui", StaticFiles(directory=str(swagger_ui_path)))
    return [shop, swagger, Mount("/", StaticFiles(directory=PAGES, html=True))]


def _middleware(window: Window) -> list[Middleware]:
    origins = window.settings.api.cors_origins
    allowed = Middleware(
        CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
    )  # fmt: skip
    return [Middleware(Headers), *([allowed] if origins else [])]


class Headers:
    """What every answer says to a browser: no scripts, styles or connections but our own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem(status, "see /openapi.json for what there is", headers)


async def _live(_: Request) -> Response:
    return Response(msgspec.json.encode(Health(status="live")), media_type=JSON)


async def _ready(request: Request) -> Response:
    window: Window = request.app.state.window
    ready = window.ready and window.parts.progress.failure is None
    away = window.board.away  # what is in memory is served all the same
    found = Health(status="ready", away=away) if ready else Health(status="not ready", away=("stream", *away))
    return Response(msgspec.json.encode(found), 200 if ready else 503, media_type=JSON)


async def _metrics(request: Request) -> Response:
    window: Window = request.app.state.window
    return Response(generate_latest(window.parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _keys(request: Request) -> Response:
    """The demo page's publishable key; a shop writes its own into its page."""
    window: Window = request.app.state.window
    fresh = window.parts.fresh
    return Response(msgspec.json.encode({"page": fresh.page if fresh else ""}), media_type=JSON)
