"""Everything that touches Faust's inside: runs of raw records for agents, acked explicitly, committed in order.

Faust carries one message a record and acks it in a ``finally``: slow (about 23 us a record), and a failed batch is
lost. Here Faust carries ONE message for each (partition, poll): its offset is that of the LAST record of the run, and
``records`` holds them all. Fetcher, conductor, flow control, rebalance and commit handler run unchanged, once a run.

Why each override is there:

- ``BatchConsumer.getmany``: makes one message of a run; own back-pressure, because Faust's counts messages.
- ``BatchConsumer.ack`` / ``_new_offset``: only the acked PREFIX of what was delivered is committed. Faust's own
  ``_new_offset`` commits past a hole (faust #606).
- ``_filter_tps_with_pending_acks``: in a rebalance Faust drops its acks BEFORE its last commit, and everything acked
  since the commit before would be done again by the next owner; ours are still there.
- ``on_partitions_revoked``: forgets what was never acked, after Faust has committed; the next owner reads it again.
- ``BatchConsumerThread``: a shorter long poll; seeks back where nothing was ever committed (``consumer_thread.py``).
- ``_restarted``: a re-created topic starts at offset 0 again; Faust would drop its records up to the old position.
- ``BatchApp._create_directories``: no tables, no folders.
- ``BatchStream.batches``: gives batches to the agent. An agent that fails ends the process (``streams/app.py``): Faust
  would start it again past the batch that it had in hand.

Every agent of the app must use ``batches()``: a plain ``async for`` would see an empty value and ack the whole run.
Tables and changelogs do not work with this transport. Faust and aiokafka are pinned; the names are checked at import.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from time import monotonic
from typing import Any

import faust
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from streams.consumer_thread import BatchConsumerThread

#: Delivered and not yet acked; so many that waiting for a disk that syncs once a second throttles nothing.
MAX_OPEN_RECORDS = 40_000
MAX_OPEN_RUNS = 4_000
#: Faust stops fetching when a queue is nearly full, and it counts runs: more than 1.25 x MAX_OPEN_RUNS.
STREAM_BUFFER = 8_192

_CONSUMER = (
    "_wait_next_records", "_new_offset", "_filter_tps_with_pending_acks", "_add_gap", "_new_consumer_thread",
    "perform_seek", "force_commit",
)  # fmt: skip
_THREAD = ("_create_worker_consumer", "_ensure_consumer", "seek_to_committed", "call_thread")
_PRIVATE = (
    (driver.Consumer, _CONSUMER),
    (driver.AIOKafkaConsumerThread, _THREAD),
    (faust.App, ("_create_directories",)),
)
for _owner, _names in _PRIVATE:
    for _name in _names:
        assert hasattr(_owner, _name), f"faust-streaming {version('faust-streaming')} has no {_owner.__name__}.{_name}"


class BatchMessage(ConsumerMessage):
    """A run of records of one partition. ``offset`` is that of its last record; ``read_at`` is monotonic seconds."""

    __slots__ = ("read_at", "records")
    records: list[Any]
    read_at: float


class BatchConsumer(driver.Consumer):  # type: ignore[misc,unused-ignore]
    """Faust's consumer with a run of records as the unit of delivery, ack and commit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._open: defaultdict[TP, deque[BatchMessage]] = defaultdict(deque)
        self._safe: dict[TP, int] = {}
        self._ends: dict[TP, int] = {}
        self._runs = self._records = 0
        self._room = asyncio.Event()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """Poll once and yield one message a partition (called by Faust's fetcher)."""
        if not await self._wait_for_room(timeout):
            return
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:  # a rebalance began: what was fetched is read again by whoever owns it then
            await self._seek_back()
            return
        generation = self.app.consumer_generation_id
        for aiotp, run in records.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            tp = TP(aiotp.topic, aiotp.partition)
            if run and (active is None or tp in active or tp in self._buffered_partitions):
                yield tp, self._delivered(tp, run, generation)

    def _delivered(self, tp: TP, run: list[Any], generation: int) -> BatchMessage:
        last = run[-1]
        if run[0].offset <= self._ends.get(tp, -1):
            self._restarted(tp)
        self._ends[tp] = last.offset
        message = BatchMessage(
            tp.topic, tp.partition, last.offset, last.timestamp / 1000.0, last.timestamp_type, None, None, b"", None,
            0, 0, tp, generation_id=generation,
        )  # fmt: skip
        message.records, message.read_at = run, monotonic()
        self._open[tp].append(message)
        self._runs += 1
        self._records += len(run)
        return message

    def _restarted(self, tp: TP) -> None:
        """The topic was deleted and made again: acks of its former life must not be committed into this one."""
        for message in self._open.pop(tp, ()):
            self._settled(message)
        self._safe.pop(tp, None)
        self._committed_offset[tp] = self._read_offset[tp] = None

    async def _seek_back(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001  what Faust's own consumer does here: the next round seeks again
            self.log.warning("seek while the flow is stopped: %r", error)

    async def _wait_for_room(self, timeout: float) -> bool:  # noqa: ASYNC109
        self._room.clear()
        if self._runs < MAX_OPEN_RUNS and self._records < MAX_OPEN_RECORDS:
            return True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._room.wait(), timeout)
        return False

    def ack(self, message: Message) -> bool:
        """Note an ack, and how far the acked prefix of its partition reaches now."""
        acked = bool(super().ack(message))
        queue = self._open[message.tp]
        while queue and queue[0].acked:
            safe = queue.popleft()
            self._safe[message.tp] = safe.offset + 1
            self._settled(safe)
        return acked

    def _settled(self, message: BatchMessage) -> None:
        self._runs -= 1
        self._records -= len(message.records)
        self._room.set()

    def assignment(self) -> set[TP]:
        """What this worker owns; nothing before the consumer's thread has started and after it has ended."""
        try:
            return set(super().assignment())
        except ConsumerNotStarted:
            return set()

    def committed(self, tp: TP) -> int:
        """Up to where the group has committed, as far as this consumer knows; 0 if it never did."""
        return self._committed_offset[tp] or 0

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._safe.pop(tp, None)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._safe) if topics is None or tp in topics or tp.topic in topics)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: a committed prefix needs no record of the holes that compaction leaves."""

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Faust stops the flow, waits for open batches and commits; then what is left is forgotten."""
        await super().on_partitions_revoked(revoked)
        if self._safe:  # acked while the commit of the timer was under way
            await self.force_commit()
        self._forget()

    def _forget(self) -> None:
        self._open.clear()
        self._safe.clear()
        self._ends.clear()
        self._runs = self._records = 0
        self._room.set()


class BatchTransport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):  # type: ignore[misc,unused-ignore]
    """Faust's app without its tables' folders, which it makes in the working directory even where there are none."""

    def _create_directories(self) -> None:
        pass


class Batch:
    """Records handed to an agent in one go; ``ack`` them all, or ``abandon`` them to the next owner."""

    __slots__ = ("_events", "_stream", "records")

    def __init__(self, stream: "BatchStream", events: list[Any]) -> None:
        self._stream, self._events = stream, events
        self.records: list[Any] = [record for event in events for record in event.message.records]

    @property
    def alive(self) -> bool:
        """Whether this worker still owns the partitions: False once a rebalance or the shutdown began."""
        return self._stream.is_current(self._events[0].message)

    @property
    def age(self) -> float:
        """Seconds since the first of its records was read from Kafka."""
        return monotonic() - float(self._events[0].message.read_at)

    def behind(self) -> Iterator[Any]:
        """Records that were read after this batch and are not in any batch yet, oldest first."""
        return self._stream.waiting()

    @property
    def generation(self) -> int:
        """The assignment that delivered it."""
        return int(self._events[0].message.generation_id)

    async def ack(self) -> None:
        """All effects are safe: Faust may commit."""
        for event in self._events:
            await self._stream.ack(event)

    def abandon(self) -> None:
        """Not ours any more, and not done: nobody waits for it, and the next owner reads it again."""
        self._stream.app.consumer.unacked.difference_update(event.message for event in self._events)


class BatchStream(faust.Stream[Any]):
    """Faust's stream with ``batches``."""

    def is_current(self, message: Message) -> bool:
        """Whether a message was delivered in the assignment that holds now."""
        app = self.app
        return bool(app.flow_control.is_active() and message.generation_id == app.consumer_generation_id)

    def waiting(self) -> Iterator[Any]:
        """Records that were read and are in no batch yet, oldest first."""
        queue: deque[Any] = self.channel.queue._queue  # type: ignore[attr-defined]
        for event in queue:
            if self.is_current(event.message):
                yield from event.message.records

    async def batches(self, max_records: int) -> AsyncIterator[Batch]:
        """Whatever is there, up to ``max_records``, without a timer: the backlog is the batching queue.

        A run is never split, so a batch may be larger by one run.
        """
        await self.maybe_start()
        try:
            while not self.should_stop:
                events = await self._collect(max_records)
                if events:
                    yield Batch(self, events)
        except StopAsyncIteration:  # thrown into the queue by Actor.cancel()
            return

    async def _collect(self, max_records: int) -> list[Any]:
        queue: asyncio.Queue[Any] = self.channel.queue  # type: ignore[attr-defined]
        count, events = 0, []
        event = await queue.get()
        while True:
            if self.is_current(event.message):
                events.append(event)
                count += len(event.message.records)
            if count >= max_records or queue.empty():
                break
            event = queue.get_nowait()
        for event in events:
            self._track(event)
        return events

    def _track(self, event: Any) -> None:
        event.message.tracked = True
        self.app.consumer.track_message(event.message)
        self.app.sensors.on_stream_event_in(event.message.tp, event.message.offset, self, event)
