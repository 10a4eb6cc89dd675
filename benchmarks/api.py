"""The API at load: an open loop of requests for fresh and for computed slates, beside an empty endpoint of the server.

    python -m benchmarks.api            writes docs/benchmarks/api.json (about four minutes)

A Kafka, a Valkey, a worker with the demo's bundle, `daogou serve`, and the load generator (``benchmarks/load.py``) are
processes of their own on one machine. The peak is found first, by connections that ask again at once; then half of it
and the whole of it are offered, each request at its own time (Poisson), whatever the answers: what waits counts from
when it was due. Then 1,000 writers each read their own write, and 1,000 streams are open at once.
"""

import asyncio
from time import monotonic
from typing import Any

import httpx
import msgspec
import numpy as np
import uvloop

from benchmarks.load import Measured, Plan, in_a_process
from benchmarks.open_streams import streams
from benchmarks.opened import Premises, premises
from benchmarks.report import save
from benchmarks.views import viewed

CALLERS, CONNECTIONS = 64, 256  # of the closed loop that finds the peak; of the open loop
WARM_SECONDS, PEAK_SECONDS, LOAD_SECONDS = 3.0, 8.0, 15.0
SHOPPERS, WRITERS, WRITING = 500, 1_000, 32
FRESH = tuple(f"/v1/recommendations?user_id=s{number}" for number in range(SHOPPERS))
PATHS = {"empty": ("/health/live",), "fresh": FRESH, "computed": tuple(f"{path}&limit=10" for path in FRESH)}


class Target:
    """A running API and how to call it."""

    def __init__(self, shop: Premises, items: list[str]) -> None:
        self.url, self.key, self.pid, self.items = shop.url, shop.key, shop.front.pid, items
        limits = httpx.Limits(max_connections=WRITING, max_keepalive_connections=WRITING)
        headers = {"Authorization": f"Bearer {self.key}"}
        self.client = httpx.AsyncClient(base_url=self.url, headers=headers, limits=limits, timeout=60)

    async def load(self, paths: tuple[str, ...], seconds: float, rate: float = 0.0) -> Measured:
        """See ``benchmarks/load.py``."""
        plan = Plan(
            host="127.0.0.1", port=int(self.url.rpartition(":")[2]), key=self.key, paths=paths, seconds=seconds,
            rate=rate, connections=CONNECTIONS if rate else CALLERS,
        )  # fmt: skip
        return await in_a_process(plan)

    async def known(self) -> None:
        """Wait until the API has the catalogue."""
        while (await self.client.get(f"/v1/items/{self.items[-1]}")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def freshen(self) -> None:
        """A new slate of the stream for every shopper."""
        await self.client.post("/v1/events", json=[viewed(f"s{n}", self.items[n]) for n in range(SHOPPERS)])
        for path in FRESH:
            while (await self.client.get(path)).json()["computed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def loads(target: Target) -> dict[str, Any]:
    """The peak of each path, then half of it and the whole of it. Raises: RuntimeError, if fresh slates were not."""
    found: dict[str, Any] = {}
    for name, paths in PATHS.items():
        await target.freshen()
        await target.load(paths, WARM_SECONDS)
        peak = await target.load(paths, PEAK_SECONDS)
        half = await target.load(paths, LOAD_SECONDS, peak.answered_per_s / 2)
        whole = await target.load(paths, LOAD_SECONDS, peak.answered_per_s)
        if name == "fresh" and (peak.computed or half.computed or whole.computed):
            raise RuntimeError("slates were computed that were to come from memory; the run is void")
        found[name] = msgspec.to_builtins(
            {"peak_per_s": peak.answered_per_s, "half": half, "whole": whole}, str_keys=True
        )
        print(name, found[name], flush=True)
    found["fresh_to_empty"] = round(found["fresh"]["peak_per_s"] / found["empty"]["peak_per_s"], 2)
    return found


async def read_your_writes(target: Target) -> dict[str, Any]:
    """Each writer posts one view and asks for a slate that has it."""
    rng, waits, gate = np.random.default_rng(1), list[float](), asyncio.Semaphore(WRITING)

    async def writer(number: int) -> bool:
        item, user = target.items[int(rng.integers(len(target.items)))], f"w{number}"
        async with gate:
            posted = (await target.client.post("/v1/events", json=viewed(user, item))).json()
            began, query = monotonic(), {"user_id": user, "after": posted["token"], "wait_ms": 10_000}
            found = (await target.client.get("/v1/recommendations", params=query)).json()
            waits.append((monotonic() - began) * 1000)
            known = (await target.client.get("/v1/profile", params={"user_id": user})).json()
        return bool(found["current"]) and [met["item_id"] for met in known["history"]] == [item]

    misses = (await asyncio.gather(*(writer(number) for number in range(WRITERS)))).count(False)
    p50, p99 = np.percentile(waits, [50, 99]).round(1).tolist()
    return {"writers": WRITERS, "misses": misses, "wait_p50_ms": p50, "wait_p99_ms": p99}


async def run(shop: Premises) -> dict[str, Any]:
    """All of it, against a shop that is just opened."""
    async with shop.open() as items:
        target = Target(shop, [item.item_id for item in items])
        async with target.client:
            await target.known()
            found = await loads(target)
            writes = await read_your_writes(target)
            print(writes, flush=True)
            listened = await streams(target.url, target.key, target.pid, target.items)
            print(listened, flush=True)
        return {**found, "read_your_writes": writes, "streams": listened}


def main() -> None:
    with premises(8137) as shop:
        found = uvloop.run(run(shop))
    print(save("api", found))


if __name__ == "__main__":
    main()
