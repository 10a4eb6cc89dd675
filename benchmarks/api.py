"""The API at load: an open loop of requests for fresh and for computed slates, beside an empty endpoint of the server.

    python -m benchmarks.api            writes docs/benchmarks/api.json

A Kafka, a Valkey, a worker with the demo's bundle, `daogou serve`, and this load generator share the machine. The peak
is found first with as many callers as connections; then half of it and the whole of it are offered, each request at its
own time (Poisson), whatever the answers: what waits counts from when it was due.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import numpy as np
import psutil
import uvloop

from benchmarks.report import save
from contracts.settings import load_settings
from launch.catalogue_files import put_items
from launch.demo.fleet import Fleet
from launch.demo.front import Front
from launch.embedded.cluster import Cluster
from launch.shop.shop import Shop
from streams.admin import create_topics

CONNECTIONS = 32
PEAK_SECONDS, LOAD_SECONDS = 6.0, 12.0
SHOPPERS, WRITERS, STREAMS = 500, 1_000, 1_000

Ask = Callable[[httpx.AsyncClient, int], Awaitable[int]]


class Target(NamedTuple):
    name: str
    ask: Ask


async def empty(client: httpx.AsyncClient, number: int) -> int:
    return (await client.get("/health/live")).status_code


async def fresh(client: httpx.AsyncClient, number: int) -> int:
    return (await client.get(f"/v1/recommendations?user_id=s{number % SHOPPERS}")).status_code


async def computed(client: httpx.AsyncClient, number: int) -> int:
    return (await client.get(f"/v1/recommendations?user_id=s{number % SHOPPERS}&limit=10")).status_code


TARGETS = (Target("empty", empty), Target("fresh", fresh), Target("computed", computed))


async def peak(client: httpx.AsyncClient, ask: Ask) -> float:
    """Requests a second of ``CONNECTIONS`` callers who each ask again at once."""
    done, ends = [0], monotonic() + PEAK_SECONDS

    async def caller(number: int) -> None:
        while monotonic() < ends:
            answered = await ask(client, number + done[0]) == 200
            done[0] += answered

    await asyncio.gather(*(caller(number) for number in range(CONNECTIONS)))
    return done[0] / PEAK_SECONDS


async def offered(client: httpx.AsyncClient, ask: Ask, rate: float) -> dict[str, Any]:
    """Latency, from when each request was due, of a Poisson stream of ``rate`` a second."""
    rng, began = np.random.default_rng(0), monotonic()
    due = np.sort(rng.uniform(0.0, LOAD_SECONDS, rng.poisson(rate * LOAD_SECONDS))).tolist()
    took: list[float] = []
    statuses: dict[int, int] = {}

    async def one(number: int, at: float) -> None:
        try:
            status = await ask(client, number)
        except httpx.HTTPError:
            status = 0
        took.append((monotonic() - began - at) * 1000)
        statuses[status] = statuses.get(status, 0) + 1

    tasks = []
    for number, at in enumerate(due):
        if (left := at - (monotonic() - began)) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(one(number, at)))
    await asyncio.gather(*tasks)
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9]).round(1).tolist()
    return {"offered_per_s": round(rate), "answered": statuses, "p50_ms": p50, "p99_ms": p99, "p99.9_ms": p999}


async def loads(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for target in TARGETS:
        await peak(client, target.ask)  # warm
        top = await peak(client, target.ask)
        found[target.name] = {
            "peak_per_s": round(top),
            "half": await offered(client, target.ask, top / 2),
            "whole": await offered(client, target.ask, top),
        }
        print(target.name, found[target.name], flush=True)
    found["fresh_to_empty"] = round(found["fresh"]["peak_per_s"] / found["empty"]["peak_per_s"], 2)
    return found


def viewed(user: str, item: str) -> dict[str, Any]:
    return {"type": "view", "event_id": uuid4().hex, "user_id": user, "time_ms": int(time() * 1000), "item_id": item}


async def read_your_writes(client: httpx.AsyncClient, items: list[str]) -> dict[str, Any]:
    """Each writer posts one view and asks for a slate that has it."""
    rng, misses, waits = np.random.default_rng(1), 0, list[float]()
    gate = asyncio.Semaphore(CONNECTIONS)

    async def writer(number: int) -> bool:
        item = items[int(rng.integers(len(items)))]
        async with gate:
            posted = (await client.post("/v1/events", json=viewed(f"w{number}", item))).json()
            began = monotonic()
            query = {"user_id": f"w{number}", "after": posted["token"], "wait_ms": 10_000}
            found = (await client.get("/v1/recommendations", params=query)).json()
            waits.append((monotonic() - began) * 1000)
            known = (await client.get("/v1/profile", params={"user_id": f"w{number}"})).json()
        return bool(found["current"]) and [met["item_id"] for met in known["history"]] == [item]

    misses = (await asyncio.gather(*(writer(number) for number in range(WRITERS)))).count(False)
    p50, p99 = np.percentile(waits, [50, 99]).round(1).tolist()
    return {"writers": WRITERS, "misses": misses, "wait_p50_ms": p50, "wait_p99_ms": p99}


async def streams(url: str, key: str, pid: int, items: list[str]) -> dict[str, Any]:
    """So many open streams at once: memory of the server for each, and from posting a view to its slate."""
    limits = httpx.Limits(max_connections=STREAMS + 50, max_keepalive_connections=50)
    headers = {"Authorization": f"Bearer {key}"}
    before, posted, took = resident(pid), dict[str, float](), list[float]()
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60) as client:
        opened = asyncio.Semaphore(0)

        async def listen(number: int) -> None:
            async with client.stream("GET", f"/v1/stream?user_id=l{number}") as response:
                opened.release()
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and (at := posted.get(json.loads(line[6:])["answers"])):
                        took.append((monotonic() - at) * 1000)
                        return

        listeners = [asyncio.create_task(listen(number)) for number in range(STREAMS)]
        for _ in listeners:
            await opened.acquire()
        memory = resident(pid)
        for number in range(STREAMS):
            event = viewed(f"l{number}", items[number % len(items)])
            posted[event["event_id"]] = monotonic()
            await client.post("/v1/events", json=event)
        await asyncio.wait(listeners, timeout=60)
        for each in listeners:
            each.cancel()
    p50, p99 = np.percentile(took, [50, 99]).round(1).tolist()
    kib = round((memory - before) / STREAMS)
    return {"streams": STREAMS, "delivered": len(took), "kib_each": kib, "delivery_p50_ms": p50, "delivery_p99_ms": p99}


def resident(pid: int) -> float:
    """KiB."""
    return float(psutil.Process(pid).memory_info().rss / 1024)


async def run(front: Front, fleet: Fleet, settings: Any) -> dict[str, Any]:
    items = Shop.make(0).items
    await put_items(settings.kafka, items)
    await fleet.ready()
    with front:
        url, ids = front.shop.removesuffix("/shop/"), [item.item_id for item in items]
        key = front.operator.rpartition("#")[2]
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60) as client:
            while (await client.get(f"/v1/items/{ids[-1]}")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            views = [viewed(f"s{number}", ids[number]) for number in range(SHOPPERS)]
            token = (await client.post("/v1/events", json=views)).json()["token"]
            last = {"user_id": f"s{SHOPPERS - 1}", "after": token, "wait_ms": 10_000}
            await client.get("/v1/recommendations", params=last)
            writes = await read_your_writes(client, ids)
            print(writes, flush=True)
            listened = await streams(url, key, front.pid, ids)
            print(listened, flush=True)
            return {"read_your_writes": writes, "streams": listened, **await loads(client)}


def main() -> None:
    base = load_settings()
    with Cluster.start(None, base.embedded, print) as cluster:
        settings = load_settings(**cluster.overrides())
        create_topics(settings.kafka)
        with Fleet(1, cluster.bootstrap_servers, cluster.redis_url, cluster.folder) as fleet:
            front = Front(8137, cluster.bootstrap_servers, cluster.redis_url, cluster.folder)
            uvloop.install()
            found = asyncio.run(run(front, fleet, settings))
    print(save("api", found))


if __name__ == "__main__":
    main()
