"""What tests of the stream share: a worker in this process or in its own, events in, slates and letters out."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from contracts.codec import decode_slate, encode_json
from contracts.events import AnyEvent, View
from contracts.messages import Slate
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, DEAD_LETTERS, RECOMMENDATIONS, Topic
from inference.engine import Engine
from launch.wiring import build_worker
from streams.admin import lag
from streams.names import physical
from streams.producer import Outgoing, Producer
from streams.replay import Log
from streams.store import ProfileStore, open_store
from streams.verify import verify
from streams.verify_report import Report
from streams.worker import Worker

PATIENCE = 60.0
LAST = 2  # the last of a test's three partitions
WORKER = Path(__file__).with_name("worker_process.py")


def view(user: str, number: int, item: str = "i1") -> View:
    """The shopper's event of that number."""
    return View(event_id=f"{user}-{number}", user_id=user, time_ms=int(time.time() * 1000), item_id=item)


async def publish(settings: Settings, events: Sequence[AnyEvent], partition: int | None = LAST) -> None:
    """Into the clickstream, keyed by user, in order; ``partition`` None: by key."""
    topic = physical(settings.kafka, CLICKSTREAM)
    await send(settings, [Outgoing(topic, e.user_id.encode(), encode_json(e), partition) for e in events])


async def send(settings: Settings, records: Sequence[Outgoing]) -> None:
    producer = Producer(settings.kafka)
    await producer.start()
    await producer.send(records)
    await producer.stop()


async def records_of(settings: Settings, topic: Topic) -> list[Any]:
    """Everything in a topic, partition after partition."""
    async with Log(settings.kafka) as log:
        spans = [span for span in await log.spans(topic) if span.end]
        return [record for span in spans async for records in log.read(span) for record in records]


async def slates_of(settings: Settings) -> list[Slate]:
    return [decode_slate(r.value) for r in await records_of(settings, RECOMMENDATIONS) if r.value is not None]


async def letters_of(settings: Settings) -> list[Any]:
    return await records_of(settings, DEAD_LETTERS)


async def settled(settings: Settings, records: int, alive: Callable[[], None] = lambda: None) -> None:
    """Wait until the group has committed all of the clickstream, ``records`` in all."""
    deadline = time.monotonic() + PATIENCE
    while True:
        alive()
        parts = await asyncio.to_thread(lag, settings.kafka, settings.stream.group)
        done = sum(max(0, part.committed) for part in parts)
        if done == sum(part.latest for part in parts) == records:
            return
        assert time.monotonic() < deadline, parts
        await asyncio.sleep(0.1)


async def audit(settings: Settings) -> Report:
    """``verify`` on the shop."""
    store = open_store(settings)
    try:
        return await verify(settings, store)
    finally:
        await store.close()


def plain_worker(settings: Settings, metrics: Metrics | None = None, store: ProfileStore | None = None) -> Worker:
    """A worker whose engine has no model: its slates say so, and it starts at once."""
    engine = Engine(None, settings.engine, settings.model)
    return build_worker(settings, metrics or Metrics(), store=store, engine=engine)


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[None]:
    """A worker from ready to drained. If it ends by itself, so does the test."""
    test = asyncio.current_task()
    assert test is not None
    task, ready = asyncio.create_task(worker.run()), asyncio.create_task(worker.ready.wait())
    await asyncio.wait({task, ready}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        task.result()

    def ended(_: "asyncio.Task[None]") -> None:
        test.cancel("the worker ended by itself")

    task.add_done_callback(ended)
    try:
        yield
    finally:
        if task.done():
            task.result()  # why it ended, before everything that followed from it
        task.remove_done_callback(ended)
        worker.stop()
        await asyncio.wait_for(task, 20)


class WorkerProcess:
    """A worker in a process of its own; ``fault`` names the step before which it kills itself, once."""

    def __init__(self, settings: Settings, folder: Path, fault: str = "", after: int = 0, slow: float = 0.0) -> None:
        self._log = folder / f"worker-{time.monotonic_ns()}.log"
        kafka, stream = settings.kafka, settings.stream
        variables = {
            "DAOGOU_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "DAOGOU_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
            "DAOGOU_KAFKA__PARTITIONS": str(kafka.partitions),
            "DAOGOU_REDIS__URL": settings.redis.url.get_secret_value(),
            "DAOGOU_STREAM__GROUP": stream.group,
            "DAOGOU_STREAM__SESSION_TIMEOUT": str(stream.session_timeout),
            "DAOGOU_STREAM__STUCK_AFTER": str(stream.stuck_after),
            "DAOGOU_STREAM__BATCH": str(stream.batch),
        }
        with self._log.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), fault, str(after), str(slow)],
                env=os.environ | variables, stdout=sink, stderr=sink,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def ready(self) -> None:
        await self.says("ready")

    async def says(self, words: str) -> None:
        """Wait until its log has these words."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.log:
            self.check()
            assert time.monotonic() < deadline, self.log
            await asyncio.sleep(0.05)

    def check(self) -> None:
        assert self.process.poll() is None, self.log

    async def ended(self, seconds: float = PATIENCE) -> int:
        """Wait for its end. Returns the exit status."""
        return await asyncio.to_thread(self.process.wait, seconds)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def worker_process(settings: Settings, folder: Path, **options: Any) -> Iterator[WorkerProcess]:
    """The same; whatever is left of it at the end is killed."""
    worker = WorkerProcess(settings, folder, **options)
    try:
        yield worker
    finally:
        worker.kill()
