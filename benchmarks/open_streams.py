"""Many open event streams: memory of the server for each, and from posting a view to its slate on the stream."""

import asyncio
import json
from time import monotonic
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from benchmarks.views import viewed

STREAMS = 1_000
AT_ONCE = 50  # connections that open at the same time
POSTS_PER_SECOND = 100.0
PATIENCE_SECONDS = 60.0


class Page(asyncio.Protocol):
    """A visitor's page that listens; ``came`` gets the ids of the events that its slates answer, and when."""

    def __init__(self, request: bytes, came: dict[str, float]) -> None:
        self._request, self._came, self._rest = request, came, b""
        self.opened = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        self.opened.set()
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if line.startswith(b"data: {") and b'"answers"' in line:
                self._came[json.loads(line[6:])["answers"]] = now


async def streams(url: str, key: str, pid: int, items: list[str]) -> dict[str, Any]:
    """Open them all, then post a view for each at a steady rate."""
    before, came, gate = resident(pid), dict[str, float](), asyncio.Semaphore(AT_ONCE)
    place = urlsplit(url)

    async def opened(number: int) -> Page:
        request = f"GET /v1/stream?user_id=l{number} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {key}\r\n\r\n"
        async with gate, asyncio.timeout(PATIENCE_SECONDS):
            loop = asyncio.get_running_loop()
            _, page = await loop.create_connection(
                lambda: Page(request.encode(), came), str(place.hostname), place.port or 80
            )
            await page.opened.wait()
        return page

    pages = await asyncio.gather(*(opened(number) for number in range(STREAMS)))
    memory = resident(pid)
    posted = await post_views(url, key, items)
    until = monotonic() + PATIENCE_SECONDS
    while not posted.keys() <= came.keys() and monotonic() < until:  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0.05)
    for page in pages:
        page.transport.close()
    took = [(came[event] - at) * 1000 for event, at in posted.items() if event in came]
    p50, p99 = np.percentile(took, [50, 99]).round(1).tolist()
    kib = round((memory - before) / STREAMS)
    return {"streams": STREAMS, "delivered": len(took), "kib_each": kib, "delivery_p50_ms": p50, "delivery_p99_ms": p99}


async def post_views(url: str, key: str, items: list[str]) -> dict[str, float]:
    """A view of each listener, each at its own time whatever the answers. Returns when each event was due."""
    posted: dict[str, float] = {}
    headers, began = {"Authorization": f"Bearer {key}"}, monotonic()
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        tasks = []
        for number in range(STREAMS):
            due = began + number / POSTS_PER_SECOND
            await asyncio.sleep(max(0.0, due - monotonic()))
            event = viewed(f"l{number}", items[number % len(items)])
            posted[event["event_id"]] = due
            tasks.append(asyncio.create_task(client.post("/v1/events", json=event)))
        for answer in await asyncio.gather(*tasks):
            answer.raise_for_status()
    return posted


def resident(pid: int) -> float:
    """KiB."""
    return float(psutil.Process(pid).memory_info().rss / 1024)
