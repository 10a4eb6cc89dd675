"""The API's process is killed under open streams: pages come again with their last id, and miss no slate."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from contracts.metrics import Metrics
from contracts.settings import Settings
from inference.engine import Engine
from launch.catalogue_files import put_items
from launch.demo.command import command_of
from launch.embedded.process import free_ports, start, stop, wait_open
from launch.wiring import build_worker
from storefront.access import Role, entry_of, new_key
from tests.serving import ITEMS
from tests.streaming import publish, running, view

PAGES = 12
ROUNDS = 4  # events of each shopper: two before the kill, one while nobody serves, one after
PATIENCE = 60.0


class Page:
    """What a page does: listens, and when the stream ends comes again with the last id that it has seen."""

    def __init__(self, url: str, key: str, user: str) -> None:
        self.user, self.answered, self.times = user, list[str](), 0
        self._url, self._headers, self._last = url, {"Authorization": f"Bearer {key}"}, ""

    async def listen(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE) as client:
            while True:
                with suppress(httpx.HTTPError):
                    await self._once(client)
                await asyncio.sleep(0.05)

    async def _once(self, client: httpx.AsyncClient) -> None:
        again = {"Last-Event-ID": self._last} if self._last else {}
        asked = {"user_id": self.user}
        async with client.stream("GET", "/v1/stream", params=asked, headers=self._headers | again) as response:
            self.times += response.status_code == 200
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    self._last = value
                elif name == "data":
                    self.answered.append(json.loads(value)["answers"])


@contextmanager
def api_process(settings: Settings, key: str, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``daogou serve`` for this shop, on this port."""
    variables = {
        "DAOGOU_KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "DAOGOU_KAFKA__PARTITIONS": str(settings.kafka.partitions),
        "DAOGOU_API__KEYS": json.dumps([entry_of(key)]),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    url = settings.redis.url.get_secret_value()
    command = command_of(settings.kafka.bootstrap_servers, url, "serve", "--port", str(port), **variables)
    log = folder / "serve.log"
    process = start(command, log, folder)
    try:
        wait_open(process, port, PATIENCE, log)
        yield process
    finally:
        stop(process)


async def until_all_have(pages: list[Page], rounds: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(len(page.answered) < rounds for page in pages):  # noqa: ASYNC110  pages tell nobody
            await asyncio.sleep(0.05)


async def until_open(pages: list[Page], times: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(page.times < times for page in pages):  # noqa: ASYNC110  pages tell nobody
            await asyncio.sleep(0.05)


@pytest.mark.timeout(240)
async def test_pages_come_again_and_miss_no_slate(shop: Settings, tmp_path: Path) -> None:
    await put_items(shop.kafka, ITEMS)
    key, port = new_key(Role.SERVER), free_ports(1)[0]
    pages = [Page(f"http://127.0.0.1:{port}", key, f"page-{n}") for n in range(PAGES)]

    async def everybody_views(number: int) -> None:
        await publish(shop, [view(page.user, number, f"i{number}") for page in pages], None)

    engine = Engine(None, shop.engine, shop.model)
    async with running(build_worker(shop, Metrics(), engine=engine)):
        listening = [asyncio.create_task(page.listen()) for page in pages]
        with api_process(shop, key, port, tmp_path) as process:
            await until_open(pages, 1)
            for number in (1, 2):
                await everybody_views(number)
                await until_all_have(pages, number)
            process.send_signal(signal.SIGKILL)
            process.wait()
        await everybody_views(3)
        with api_process(shop, key, port, tmp_path):
            await until_open(pages, 2)
            await everybody_views(4)
            await until_all_have(pages, ROUNDS)
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
    for page in pages:
        assert page.answered == [f"{page.user}-{number}" for number in range(1, ROUNDS + 1)]
