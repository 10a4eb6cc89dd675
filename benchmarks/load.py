"""A load generator in a process of its own: requests at their own times, whatever the answers.

    python -m benchmarks.load < plan.json       (``Plan`` in, ``Measured`` out, as JSON)

An open loop: when each request is due is drawn beforehand (Poisson), and its latency counts from then, however long it
waited for a free connection: what a slow server would have made its callers wait is in the figures. ``rate`` 0 is a
closed loop instead: each connection asks again at once, which finds the peak. The client is a few lines on asyncio's
protocols, since a library's own costs would be most of what is measured.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from subprocess import PIPE
from time import perf_counter
from typing import cast

import msgspec
import numpy as np
import uvloop
from msgspec import Struct

PATIENCE_SECONDS = 30.0
MARK = b'"computed":true'


class Plan(Struct, frozen=True, kw_only=True):
    """What to ask, over and over: paths with their query; ``rate`` a second (0: as fast as it goes) for ``seconds``."""

    host: str
    port: int
    paths: tuple[str, ...]
    key: str = ""
    rate: float = 0.0
    seconds: float = 5.0
    connections: int = 64


class Measured(Struct, frozen=True, kw_only=True):
    """Milliseconds from when a request was due to its whole answer.

    ``late_p99_ms``: how late the generator itself was, waits for a connection aside; many milliseconds void a run.
    """

    offered_per_s: float
    answered_per_s: float
    statuses: dict[int, int]
    computed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float = msgspec.field(name="p99.9_ms")
    late_p99_ms: float


class Caller(asyncio.Protocol):
    """One connection: a request at a time. ``answered`` hears of each whole answer."""

    def __init__(self, run: "Run") -> None:
        self._run, self._buffer, self._due = run, bytearray(), 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def ask(self, request: bytes, due: float) -> None:
        """Send one."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        name = self._buffer.find(b"content-length: ", 0, head)
        length = int(self._buffer[name + 16 : self._buffer.find(b"\r", name)])
        if len(self._buffer) >= head + 4 + length:
            status, computed = int(self._buffer[9:12]), MARK in self._buffer
            self._buffer.clear()
            self._run.answered(self, status, computed, perf_counter() - self._due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost(self, perf_counter() - self._due)


class Run:
    """One measurement."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests: Iterator[bytes] = cycle([request_of(plan, path) for path in plan.paths])
        self._free: deque[Caller] = deque()  # taken in turn, so that none is idle so long that it is closed
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[float] = deque()
        self._took: list[float] = []
        self._late: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._computed, self._left, self._ends = 0, 0, 0.0
        self._over = asyncio.Event()

    async def measure(self) -> Measured:
        """Raises: OSError, where nobody listens."""
        plan = self._plan
        for _ in range(plan.connections):
            await self._connect()
        began = perf_counter()
        self._ends = began + plan.seconds
        await (self._open(began) if plan.rate else self._closed())
        await asyncio.wait_for(self._over.wait(), PATIENCE_SECONDS + plan.seconds)
        return self._measured(perf_counter() - began)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(lambda: Caller(self), self._plan.host, self._plan.port)
        self._take(caller)

    async def _closed(self) -> None:
        self._left = len(self._free)
        while self._free:
            self._free.popleft().ask(next(self._requests), perf_counter())

    async def _open(self, began: float) -> None:
        rng, plan = np.random.default_rng(0), self._plan
        count = int(rng.poisson(plan.rate * plan.seconds))
        due = deque((began + np.sort(rng.uniform(0.0, plan.seconds, count))).tolist())
        self._left = count
        while due:
            await asyncio.sleep(max(0.0, due[0] - perf_counter()))
            now = perf_counter()
            while due and due[0] <= now:
                self._late.append(now - due[0])
                self._ask(due.popleft())

    def _ask(self, due: float) -> None:
        if self._free:
            self._free.popleft().ask(next(self._requests), due)
        else:
            self._waiting.append(due)

    def answered(self, caller: Caller, status: int, computed: bool, took: float) -> None:
        """An answer."""
        self._statuses[status] += 1
        self._computed += computed
        self._took.append(took)
        if not self._plan.rate and perf_counter() < self._ends:
            caller.ask(next(self._requests), perf_counter())
            return
        self._done()
        self._take(caller)

    def lost(self, caller: Caller, took: float) -> None:
        """A connection that ended: idle, or instead of an answer, which counts as status 0. Another one is opened."""
        if self._over.is_set():
            return
        if caller in self._free:
            self._free.remove(caller)
        else:
            self._statuses[0] += 1
            self._took.append(took)
            self._done()
        task = asyncio.ensure_future(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _take(self, caller: Caller) -> None:
        if self._waiting:
            caller.ask(next(self._requests), self._waiting.popleft())
        else:
            self._free.append(caller)

    def _done(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._over.set()

    def _measured(self, seconds: float) -> Measured:
        p50, p99, p999 = np.percentile(np.array(self._took) * 1000, [50, 99, 99.9]).round(2).tolist()
        late = float(np.percentile(self._late, 99) * 1000) if self._late else 0.0
        return Measured(
            offered_per_s=round(self._plan.rate), answered_per_s=round(len(self._took) / seconds),
            statuses=dict(self._statuses), computed=self._computed, p50_ms=p50, p99_ms=p99, p999_ms=p999,
            late_p99_ms=round(late, 2),
        )  # fmt: skip


def request_of(plan: Plan, path: str) -> bytes:
    """The whole request."""
    key = f"Authorization: Bearer {plan.key}\r\n" if plan.key else ""
    return f"GET {path} HTTP/1.1\r\nHost: {plan.host}\r\n{key}\r\n".encode()


async def in_a_process(plan: Plan) -> Measured:
    """Measure in a process of its own. Raises: RuntimeError, with what it said."""
    command: Sequence[str] = (sys.executable, "-m", "benchmarks.load")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    said, wrong = await process.communicate(msgspec.json.encode(plan))
    if process.returncode:
        raise RuntimeError(wrong.decode()[-2000:])
    return msgspec.json.decode(said, type=Measured)


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    found = uvloop.run(Run(plan).measure())
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
