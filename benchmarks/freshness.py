"""From the moment an event was due until its slate is in the reader's hands: daogou's worker beside a raw echo.

Open loop: send times are drawn beforehand (Poisson), latency counts from when the event was due, and a run whose
generator lags is void. Both answer the same events on the same cluster, one after the other.

    python -m benchmarks.freshness [--rate 50] [--seconds 20]
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer
from numpy.typing import NDArray

from benchmarks.loops import raw_echo
from benchmarks.report import save
from contracts.codec import decode_slate, encode_json
from contracts.events import View
from contracts.settings import Settings, load_settings
from contracts.topics import CATALOGUE, CLICKSTREAM, RECOMMENDATIONS
from launch.embedded import Cluster
from launch.shop.shop import Shop
from streams.admin import create_topics, lag
from streams.producer import Outgoing, Producer

USERS = 200
WARM_UP = 100
LAG_LIMIT_S = 0.05
READY_SECONDS = 60.0


def due_times(rate: float, seconds: float) -> NDArray[np.float64]:
    """Seconds from the start, drawn beforehand."""
    rng = np.random.default_rng(0)
    return np.cumsum(rng.exponential(1.0 / rate, int(rate * seconds)))


async def measure(settings: Settings, items: list[str], rate: float, seconds: float) -> dict[str, float]:
    """Send on time, read the answers, and say how long each took."""
    producer = Producer(settings.kafka)
    await producer.start()
    due, tag = due_times(rate, seconds), f"{time.time_ns()}"
    start = time.time() + 0.5
    took = np.full(len(due), np.nan)
    worst_lag = 0.0

    async with reader(settings) as consumer:
        task = asyncio.create_task(collect(consumer, tag, start, due, took))
        for number, at in enumerate(due):
            await asyncio.sleep(max(0.0, start + at - time.time()))
            worst_lag = max(worst_lag, time.time() - start - at)
            await producer.send([event_of(tag, number, items)])
        await asyncio.wait_for(task, READY_SECONDS)
    await producer.stop()
    milliseconds = np.sort(took[WARM_UP:]) * 1000
    p50, p95, p99 = np.quantile(milliseconds, (0.5, 0.95, 0.99))
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": milliseconds[-1],
        "worst_send_lag_ms": worst_lag * 1000,
    }


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        RECOMMENDATIONS.name, bootstrap_servers=settings.kafka.bootstrap_servers, auto_offset_reset="latest",
        fetch_max_wait_ms=100,
    )  # fmt: skip
    await consumer.start()
    await consumer.seek_to_end()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def collect(
    consumer: AIOKafkaConsumer, tag: str, start: float, due: NDArray[np.float64], took: NDArray[np.float64]
) -> None:
    missing = len(due)
    async for record in consumer:
        arrived = time.time()
        mine, _, number = decode_slate(record.value).trigger.event_id.partition("-")
        if mine == tag:
            took[int(number)] = arrived - start - due[int(number)]
            missing -= 1
        if not missing:
            return


def event_of(tag: str, number: int, items: list[str]) -> Outgoing:
    user = f"user-{number % USERS}"
    event = View(
        event_id=f"{tag}-{number}", user_id=user, time_ms=int(time.time() * 1000),
        item_id=items[(number * 7919) % len(items)],
    )  # fmt: skip
    return Outgoing(CLICKSTREAM.name, user.encode(), encode_json(event))


async def echo(settings: Settings, items: list[str], rate: float, seconds: float) -> dict[str, float]:
    stop = asyncio.Event()

    async def stopped() -> bool:
        return stop.is_set()

    servers = settings.kafka.bootstrap_servers
    task = asyncio.create_task(raw_echo(servers, CLICKSTREAM.name, RECOMMENDATIONS.name, stopped, "echo"))
    result = await measure(settings, items, rate, seconds)
    stop.set()
    await task
    return result


async def worker(settings: Settings, items: list[str], rate: float, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "launch.cli", "worker", "--broker", settings.kafka.bootstrap_servers]
    command += ["--redis", settings.redis.url.get_secret_value()]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        deadline = time.monotonic() + READY_SECONDS
        while sum(part.lag for part in lag(settings.kafka, settings.stream.group)):  # it reads the echo's events first
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the worker did not catch up")
            await asyncio.sleep(0.2)
        return await measure(settings, items, rate, seconds)
    finally:
        process.terminate()
        process.wait()


async def both(cluster: Cluster, rate: float, seconds: float) -> dict[str, Any]:
    settings = load_settings(**cluster.overrides())
    create_topics(settings.kafka)
    shop = Shop.make(0)
    producer = Producer(settings.kafka)
    await producer.start()
    await producer.send([Outgoing(CATALOGUE.name, i.item_id.encode(), encode_json(i)) for i in shop.items])
    await producer.stop()
    items = [item.item_id for item in shop.items]
    return {
        "echo": await echo(settings, items, rate, seconds),
        "daogou": await worker(settings, items, rate, seconds),
    }


def run(rate: float, seconds: float) -> dict[str, Any]:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with Cluster.start() as cluster:
        result = asyncio.run(both(cluster, rate, seconds))
    void = any(figures["worst_send_lag_ms"] > LAG_LIMIT_S * 1000 for figures in result.values())
    save("freshness", {"rate": rate, "seconds": seconds, "void": void, **result})
    return {"void": void, **result}


def print_result(result: dict[str, Any]) -> None:
    for name in ("echo", "daogou"):
        figures = ", ".join(f"{key.removesuffix('_ms')} {value:.1f}" for key, value in result[name].items())
        print(f"{name:<8}{figures} ms")
    if result["void"]:
        print("void: the generator lagged")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print_result(run(options.rate, options.seconds))


if __name__ == "__main__":
    main()
