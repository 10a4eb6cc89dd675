"""The API on a real port beside a real worker, and its callers."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import uvicorn

from contracts.bundle import Bundle
from contracts.messages import CatalogueItem
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.surface_file import load_surfaces
from inference.engine import Engine
from launch.catalogue_files import put_items
from launch.shopfront import build_window
from launch.wiring import build_worker
from storefront.app import build_app
from storefront.server import ServerConfig
from storefront.window import Window
from tests.streaming import running

THINGS = ("shoe", "lamp", "tea")
ITEMS = [
    CatalogueItem(
        item_id=f"i{n}", title=f"{THINGS[n % 3]} number {n}", category=("all", THINGS[n % 3]), price=10.0 + n, stock=5
    )
    for n in range(60)
]


class Served:
    """A running window, a client with a server's key, and one that knows nobody."""

    def __init__(self, window: Window, url: str, server: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
        self.window, self.url, self.server, self.nobody = window, url, server, nobody

    async def visitor(self) -> tuple[str, dict[str, str]]:
        """A new visitor and the header that says so."""
        fresh = self.window.parts.fresh
        assert fresh is not None
        page = {"Authorization": f"Bearer {fresh.page}"}
        made = (await self.nobody.post("/v1/visitors", headers=page)).json()
        return made["user_id"], {"Authorization": f"Bearer {made['token']}"}


def view(user: str, item: str, **more: Any) -> dict[str, Any]:
    """A view as a page posts it."""
    now = int(time.time() * 1000)
    return {"type": "view", "event_id": uuid4().hex, "user_id": user, "time_ms": now, "item_id": item, **more}


@asynccontextmanager
async def serving(
    settings: Settings, items: Sequence[CatalogueItem] = ITEMS, bundle: Bundle | None = None
) -> AsyncIterator[Served]:
    """A worker and the API of one shop with a catalogue; ``bundle`` None: both without a model."""
    await put_items(settings.kafka, items)
    surfaces = load_surfaces(settings.surfaces)
    engines = [Engine(bundle, settings.engine, settings.model, surfaces=surfaces) for _ in range(2)]
    worker = build_worker(settings, Metrics(), engine=engines[0])
    async with running(worker):
        window = build_window(settings, engine=engines[1])
        async with listening(window) as url:
            fresh = window.parts.fresh
            assert fresh is not None
            key = {"Authorization": f"Bearer {fresh.server}"}
            async with httpx.AsyncClient(base_url=url, headers=key) as server, httpx.AsyncClient(base_url=url) as none:
                yield Served(window, url, server, none)


@asynccontextmanager
async def listening(window: Window) -> AsyncIterator[str]:
    """The window on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as taken:  # else asyncio waits for acks
        taken.bind(("127.0.0.1", 0))
        server = uvicorn.Server(ServerConfig(build_app(window), window.settings.api))
        task = asyncio.create_task(server.serve(sockets=[taken]))
        async with asyncio.timeout(60):
            while not server.started:
                if task.done():
                    task.result()
                await asyncio.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, 30)
