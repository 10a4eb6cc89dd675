"""The clickstream agent: the eight hops of one click, a batch at a time.

Nothing is acked before its effects are safe: profiles on the store's disk, slates and dead letters acknowledged by
Kafka. What fails is tried again, halved or raised as ``streams/settling.py`` says.
"""

from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Any, NamedTuple

import structlog
from msgspec.structs import replace

from contracts.codec import encode_json
from contracts.errors import BadInput, Conflict, Oversize, Reason, StoreUnavailable
from contracts.messages import Slate
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import RECOMMENDATIONS
from inference.ask import Ask
from streams.batches import Batch, BatchStream
from streams.burying import Burying
from streams.disk import DiskWaiter
from streams.engine_room import EngineRoom
from streams.folding import Decoded, Folded, Undecoded, by_shopper, decode, fold_shopper, trigger_of
from streams.late import superseded
from streams.names import physical
from streams.producer import MESSAGE_LIMIT, Outgoing, Producer
from streams.progress import Progress
from streams.settling import Settler
from streams.shared import SharedStatistics
from streams.store import ProfileStore, Write
from streams.tally import Tally

STORE_AWAY = "profiles unavailable"
STORE_PATIENCE = 2
LIVE_MS = 60_000

log = structlog.get_logger()

EpochOf = Callable[[int, Sequence[Any]], Awaitable[str]]


class Parts(NamedTuple):
    """What the agent works with; put together in ``launch/wiring.py``."""

    settings: Settings
    engine: EngineRoom
    store: ProfileStore
    shared: SharedStatistics
    producer: Producer
    burying: Burying
    disk: DiskWaiter
    metrics: Metrics
    progress: Progress
    epoch_of: EpochOf


class Owed(NamedTuple):
    """A slate and the record that it answers."""

    slate: Slate
    record: Any


class Recommender:
    """Answers the clickstream."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._settler = Settler(parts.settings.stream.retries, parts.metrics, parts.progress)

    async def run(self, stream: BatchStream) -> None:
        """The agent's body: every batch, in order, for ever."""
        async for batch in stream.batches(self._p.settings.stream.batch):
            self._p.progress.took(len(batch.records))
            await self.process(batch)

    async def process(self, batch: Batch) -> None:
        """One batch, until its effects are done; then it waits for the disk, and is acked."""
        started, answering = time(), Answering(self._p, batch)
        if await self._settler.settle(lambda: batch.alive, answering, batch.records):
            answering.tally.count(self._p.metrics)
            self._p.metrics.batch_records.observe(len(batch.records))
            self._p.progress.works()
            await self._p.disk.put(batch, started)
        else:
            self._p.progress.gave_up(len(batch.records))
            batch.abandon()


class Answering:
    """One batch on its way from bytes to slates; doing a hop again changes nothing that was done."""

    def __init__(self, parts: Parts, batch: Batch) -> None:
        self.tally = Tally()
        self._p, self._batch = parts, batch
        self._topic = physical(parts.settings.kafka, RECOMMENDATIONS)
        self._epoch: str | None = None
        self._store_failures = 0

    async def once(self, records: Sequence[Any]) -> None:
        """Hops 2 to 7."""
        decoded, undecoded = decode(records, self._p.settings.stream.event_limit)
        folded = await self._folded_or_answered_without(decoded)
        await self._publish(folded, None)
        await self._p.burying.send(undecoded)
        self.tally.buried(undecoded)

    async def bury(self, record: Any, error: BadInput) -> None:
        """See ``settling.Work``."""
        bad = [Undecoded(record, error)]
        await self._p.burying.send(bad)
        self.tally.buried(bad)

    async def _folded_or_answered_without(self, decoded: Sequence[Decoded]) -> list[Folded]:
        """While the store is away the shopper gets, once, a slate that says so; the batch waits for the store."""
        try:
            return await self._folded(decoded)
        except StoreUnavailable:
            self._store_failures += 1
            if self._store_failures == STORE_PATIENCE:
                epoch = await self._its_epoch()
                empty = [fold_shopper(key, None, events, epoch) for key, events in by_shopper(decoded).items()]
                await self._publish(empty, STORE_AWAY)
            raise

    async def _folded(self, decoded: Sequence[Decoded]) -> list[Folded]:
        """Hops 3 to 5: load, fold, compare and set."""
        epoch, shoppers = await self._its_epoch(), by_shopper(decoded)
        loaded = await self._p.store.load(tuple(shoppers))
        folded = [
            fold_shopper(key, profile, events, epoch)
            for (key, events), profile in zip(shoppers.items(), loaded, strict=True)
        ]
        await self._save([each for each in folded if each.changed])
        for each in folded:
            self.tally.folded(each)
        return folded

    async def _its_epoch(self) -> str:
        if self._epoch is None:
            self._epoch = await self._p.epoch_of(self._batch.generation, self._batch.records)
        return self._epoch

    async def _save(self, changed: Sequence[Folded]) -> None:
        saved = await self._p.store.save([Write(each.key, each.profile, each.expected) for each in changed])
        for each, done in zip(changed, saved, strict=True):
            if done:
                self._learn(each)
        if not all(saved):
            raise Conflict(f"{saved.count(False)} of {len(saved)} profiles were written by somebody else")

    def _learn(self, each: Folded) -> None:
        self.tally.folded(each)
        for lesson in each.lessons:
            self._p.shared.learn(lesson.before, lesson.event)

    async def _publish(self, folded: Sequence[Folded], degraded: str | None) -> None:
        """Hops 6 and 7 for all who are owed a slate, and a tombstone for each whose profile was erased."""
        owed = self._worth_making([(each, record) for each in folded if (record := each.owed) is not None])
        asks = [Ask(each.profile, trigger_of(record)) for each, record in owed]
        slates = await self._p.engine.recommend(asks, degraded)
        if not self._batch.alive:
            raise Conflict("the partitions are another worker's now")
        made = time()
        due = [Owed(replace(s, made_ms=int(made * 1000)), r.record) for s, (_, r) in zip(slates, owed, strict=True)]
        erased = [each.key for each in folded if each.erased]
        gone = [Outgoing(self._topic, key.user.encode(), None, key.partition) for key in erased]
        await self._p.producer.send([self._outgoing(each) for each in due] + gone)
        self._count(due, made)

    def _worth_making(self, owed: list[tuple[Folded, Decoded]]) -> list[tuple[Folded, Decoded]]:
        settings = self._p.settings
        if self._batch.age <= settings.engine.deadline:
            return owed
        limit = settings.stream.event_limit
        dropped = superseded([record for _, record in owed], self._batch.behind(), limit)
        self._p.metrics.late.inc(len(dropped))
        return [(each, r) for each, r in owed if (r.record.partition, r.record.key) not in dropped]

    def _outgoing(self, owed: Owed) -> Outgoing:
        value = encode_json(owed.slate)
        if len(value) > MESSAGE_LIMIT:
            raise Oversize(Reason.OUTPUT_REFUSED, f"a slate of {len(value):,} bytes; the limit is {MESSAGE_LIMIT:,}")
        return Outgoing(self._topic, owed.slate.user_id.encode(), value, owed.record.partition)

    def _count(self, due: Sequence[Owed], made: float) -> None:
        """Freshness is that of live events: what was published long after it happened says nothing about us."""
        for slate, record in due:
            self._p.metrics.slates.labels(slate.surface).inc()
            if record.timestamp - slate.trigger.time_ms < LIVE_MS:
                self._p.metrics.freshness.observe(max(0.0, made - slate.trigger.time_ms / 1000))
