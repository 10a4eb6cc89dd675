"""Events a second through the plumbing (a trivial slate for every event): daogou's batches, a raw loop, stock Faust.

Every variant is a process of its own, reads the same preloaded topic from its beginning, decodes each event, answers
it, produces the answers and commits. In turns, several rounds, so that the machine's moods hit all alike.

    python -m benchmarks.plumbing [--records 300000] [--rounds 3]
"""

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import orjson

from benchmarks.loops import raw_loop, send_all, trivial_slate
from benchmarks.report import save
from contracts.codec import encode_json
from contracts.events import View
from contracts.settings import Settings, load_settings
from contracts.topics import CLICKSTREAM, RECOMMENDATIONS
from launch.embedded import Cluster
from streams.admin import create_topics
from streams.names import partition_of
from streams.producer import Outgoing, Producer

PARTITIONS = 4
USERS = 2000
STOCK_SHARE = 10
CHUNK = 10_000


def settings_of(broker: str, redis: str, group: str) -> Settings:
    return load_settings(
        kafka={"bootstrap_servers": broker, "partitions": PARTITIONS}, redis={"url": redis}, stream={"group": group}
    )


async def preload(settings: Settings, count: int) -> None:
    """About 300 bytes an event, keyed by user."""
    producer = Producer(settings.kafka)
    await producer.start()
    now = int(time.time() * 1000)
    for start in range(0, count, CHUNK):
        await producer.send([outgoing(number, now) for number in range(start, min(count, start + CHUNK))])
    await producer.stop()


def outgoing(number: int, now: int) -> Outgoing:
    user = f"user-{number % USERS:06d}"
    event = View(
        event_id=f"event-{number:012d}", user_id=user, time_ms=now, item_id=f"item-{number % 5000:08d}",
        session_id="s" * 60, anonymous_id="a" * 60,
    )  # fmt: skip
    return Outgoing(CLICKSTREAM.name, user.encode(), encode_json(event), partition_of(user.encode(), PARTITIONS))


class Answering:
    """An agent's body that does what the raw loop does."""

    def __init__(self, producer: Any, total: int) -> None:
        self._producer, self._total = producer, total
        self.done = 0
        self.started = 0.0
        self.finished = asyncio.Event()

    async def run(self, stream: Any) -> None:
        async for batch in stream.batches(2000):
            self.started = self.started or time.perf_counter()
            answers = [(record.partition, *trivial_slate(record)) for record in batch.records]
            await send_all(self._producer, RECOMMENDATIONS.name, answers)
            await batch.ack()
            self.done += len(answers)
            if self.done >= self._total:
                self.finished.set()


class Idle:
    """The other agent, with nothing to do."""

    async def run(self, stream: Any) -> None:
        async for batch in stream.batches(2000):
            await batch.ack()


async def daogou(settings: Settings, total: int) -> float:
    from aiokafka import AIOKafkaProducer

    from streams.app import build_app, tune_interpreter
    from streams.progress import Progress

    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, acks="all", enable_idempotence=True, linger_ms=0,
        max_batch_size=256 << 10,
    )  # fmt: skip
    await producer.start()
    work = Answering(producer, total)
    app = build_app(settings, work, Idle(), Progress())  # type: ignore[arg-type]
    tune_interpreter()
    app.finalize()
    await app.start()
    await work.finished.wait()
    await app.commit({CLICKSTREAM.name})
    seconds = time.perf_counter() - work.started
    await app.stop()
    await producer.stop()
    return seconds


async def stock(settings: Settings, total: int) -> float:
    """Faust as its manual says: `async for`, a Record-less raw topic, `topic.send`."""
    import faust

    app = faust.App(
        settings.stream.group, broker=f"kafka://{settings.kafka.bootstrap_servers}", value_serializer="raw",
        web_enabled=False, consumer_auto_offset_reset="earliest", topic_allow_declare=False, topic_disable_leader=True,
    )  # fmt: skip
    source = app.topic(CLICKSTREAM.name, value_type=bytes, key_type=bytes, key_serializer="raw")
    sink = app.topic(RECOMMENDATIONS.name, value_type=bytes, key_type=bytes, key_serializer="raw")
    state = {"done": 0, "started": 0.0}
    finished = asyncio.Event()

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            state["started"] = state["started"] or time.perf_counter()
            message = event.message
            record = _Record(message.key, message.value, message.headers or (), message)
            key, value = trivial_slate(record)
            await sink.send(key=key, value=value)
            state["done"] += 1
            if state["done"] >= total:
                finished.set()

    app.agent(source)(agent)
    app.finalize()
    await app.start()
    await finished.wait()
    seconds = time.perf_counter() - state["started"]
    await app.stop()
    return seconds


class _Record:
    """What ``trivial_slate`` reads, out of a Faust message."""

    def __init__(self, key: bytes, value: bytes, headers: Any, message: Any) -> None:
        self.key, self.value, self.headers = key, value, headers
        self.topic, self.partition, self.offset = message.topic, message.partition, message.offset
        self.timestamp = int(message.timestamp * 1000)


def child(variant: str, broker: str, redis: str, total: int) -> None:
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    settings = settings_of(broker, redis, f"bench-{uuid4().hex[:8]}")

    async def run() -> float:
        if variant == "raw":
            from streams.app import tune_interpreter

            tune_interpreter()  # the same for both: it is no merit of ours
            return await raw_loop(broker, CLICKSTREAM.name, RECOMMENDATIONS.name, total, settings.stream.group)
        return await {"daogou": daogou, "stock": stock}[variant](settings, total)

    seconds = asyncio.run(run())
    print(orjson.dumps({"seconds": seconds, "cpu": time.process_time()}).decode())


def measured(variant: str, cluster: Cluster, total: int) -> float:
    """Events a second of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.plumbing", "--child", variant, "--records", str(total)]
    command += ["--broker", cluster.bootstrap_servers, "--redis", cluster.redis_url]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[1], timeout=600)
    return total / float(orjson.loads(done.stdout.splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    for hidden in ("--child", "--broker", "--redis"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.broker, options.redis, options.records)
        return
    print_result(run(options.records, options.rounds))


def run(records: int, rounds: int) -> dict[str, Any]:
    with Cluster.start() as cluster:
        settings = settings_of(cluster.bootstrap_servers, cluster.redis_url, "preload")
        create_topics(settings.kafka)
        asyncio.run(preload(settings, records))
        rates: dict[str, list[float]] = {"raw": [], "daogou": []}
        for _ in range(rounds):
            for variant, found in rates.items():
                found.append(measured(variant, cluster, records))
        rates["stock"] = [measured("stock", cluster, records // STOCK_SHARE)]
    result = {name: {"events_per_second": values, "median": median(values)} for name, values in rates.items()}
    ratios = [ours / raw for ours, raw in zip(rates["daogou"], rates["raw"], strict=True)]
    result["daogou/raw"] = {
        "pairs": ratios,
        "median": median(ratios),
        "best of each": max(rates["daogou"]) / max(rates["raw"]),
    }
    save("plumbing", {"records": records, "rounds": rounds, **result})
    return result


def print_result(result: dict[str, Any]) -> None:
    for name in ("raw", "daogou", "stock"):
        print(f"{name:<8}{result[name]['median']:>12,.0f} events/s")
    ratio = result["daogou/raw"]
    print(f"daogou/raw: median of pairs {ratio['median']:.2f}, best of each {ratio['best of each']:.2f}")


if __name__ == "__main__":
    main()
