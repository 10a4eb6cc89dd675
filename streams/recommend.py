"""The clickstream agent: the eight hops of one click, a batch at a time.

Nothing is acked before its effects are safe: profiles on the store's disk, slates and dead letters acknowledged by
Kafka. Whatever fails for a while is tried again in place; what can never work is found by bisection and dead-lettered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Any, NamedTuple

import structlog
from msgspec.structs import replace

from contracts.codec import encode_json
from contracts.errors import BadInput, Conflict, DaogouError, Fate, Oversize, Reason, StoreUnavailable, Unavailable
from contracts.messages import Slate
from contracts.metrics import Metrics
from contracts.profile import Profile
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS, RECOMMENDATIONS
from inference.ask import Ask
from streams.batches import Batch, BatchStream
from streams.dead_letters import encode_headers, letter_of
from streams.disk import DiskWaiter
from streams.engine_room import EngineRoom
from streams.folding import Decoded, Folded, Undecoded, by_shopper, decode, fold_shopper, trigger_of
from streams.names import physical
from streams.producer import MESSAGE_LIMIT, Outgoing, Producer
from streams.progress import Progress
from streams.shared import SharedStatistics
from streams.store import ProfileStore, Write

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 5.0
STORE_AWAY = "profiles unavailable"

log = structlog.get_logger()

EpochOf = Callable[[int, Sequence[Any]], Awaitable[str]]


class Parts(NamedTuple):
    """What the agent works with; put together in ``launch/wiring.py``."""

    settings: Settings
    engine: EngineRoom
    store: ProfileStore
    shared: SharedStatistics
    producer: Producer
    disk: DiskWaiter
    metrics: Metrics
    progress: Progress
    epoch_of: EpochOf


class Recommender:
    """Answers the clickstream."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        kafka = parts.settings.kafka
        self._slates = physical(kafka, RECOMMENDATIONS)
        self._letters = physical(kafka, DEAD_LETTERS)

    async def run(self, stream: BatchStream) -> None:
        """The agent's body: every batch, in order, for ever."""
        async for batch in stream.batches(self._p.settings.stream.batch):
            self._p.progress.took(len(batch.records))
            await self.process(batch)

    async def process(self, batch: Batch) -> None:
        """One batch, until its effects are done; then it waits for the disk, and is acked."""
        started = time()
        if await self._settled(batch, batch.records):
            self._p.metrics.batch_records.observe(len(batch.records))
            await self._p.disk.put(batch, started)
        else:
            self._p.progress.gave_up(len(batch.records))
            batch.abandon()

    async def _settled(self, batch: Batch, records: Sequence[Any]) -> bool:
        """Try until done. False: the partitions are somebody else's now."""
        attempt = 0
        while batch.alive:
            try:
                await self._once(batch, records, attempt)
            except Unavailable as error:
                attempt += 1
                await self._pause(attempt, error)
            except Exception as error:  # the agent's edge: counted, bisected, dead-lettered
                if isinstance(error, DaogouError) and error.fate is Fate.CRASH:
                    raise
                return await self._bisected(batch, records, error)
            else:
                return True
        return False

    async def _pause(self, attempt: int, error: Unavailable) -> None:
        self._p.metrics.retries.labels(type(error).__name__).inc()
        self._p.progress.waits_for(type(error).__name__)
        if not isinstance(error, Conflict):
            log.warning("trying again", attempt=attempt, error=str(error))
        await asyncio.sleep(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempt))

    async def _bisected(self, batch: Batch, records: Sequence[Any], error: Exception) -> bool:
        """A record that breaks the batch is found and dead-lettered; the rest goes on, in order."""
        self._p.metrics.retries.labels(type(error).__name__).inc()
        if len(records) > 1:
            half = len(records) // 2
            return await self._settled(batch, records[:half]) and await self._settled(batch, records[half:])
        log.error("a record cannot be applied", offset=records[0].offset, error=f"{type(error).__name__}: {error}")
        bad = BadInput(Reason.NOT_APPLICABLE, f"{type(error).__name__}: {error}")
        return await self._buried(batch, Undecoded(records[0], bad))

    async def _buried(self, batch: Batch, bad: Undecoded) -> bool:
        attempt = 0
        while batch.alive:
            try:
                await self._p.producer.send([self._letter(bad)])
            except Unavailable as error:
                attempt += 1
                await self._pause(attempt, error)
            else:
                return True
        return False

    async def _once(self, batch: Batch, records: Sequence[Any], attempt: int) -> None:
        """Hops 2 to 7. Doing it again changes nothing that was done."""
        epoch = await self._p.epoch_of(batch.generation, records)
        decoded, undecoded = decode(records, self._p.settings.stream.event_limit)
        try:
            folded = await self._folded(decoded, epoch)
        except StoreUnavailable:
            if attempt == 1:  # the shopper waits: once, a slate without the profile
                await self._answer_without_store(decoded, epoch)
            raise
        outgoing = await self._slates_of(folded, None)
        await self._p.producer.send([*outgoing, *(self._letter(bad) for bad in undecoded)])
        self._p.progress.works()

    async def _folded(self, decoded: Sequence[Decoded], epoch: str) -> list[Folded]:
        """Hops 3 to 5: load, fold, compare and set."""
        shoppers = by_shopper(decoded)
        loaded = await self._p.store.load(tuple(shoppers))
        folded = [
            fold_shopper(key, profile, events, epoch)
            for (key, events), profile in zip(shoppers.items(), loaded, strict=True)
        ]
        changed = [each for each in folded if each.changed]
        saved = await self._p.store.save([Write(each.key, each.profile, each.expected) for each in changed])
        self._learn([each for each, done in zip(changed, saved, strict=True) if done])
        self._count(folded)
        if not all(saved):
            raise Conflict(f"{saved.count(False)} of {len(saved)} profiles were written by somebody else")
        return folded

    def _learn(self, saved: Sequence[Folded]) -> None:
        for each in saved:
            for lesson in each.lessons:
                self._p.shared.learn(lesson.before, lesson.event)

    def _count(self, folded: Sequence[Folded]) -> None:
        for each in folded:
            for outcome in each.outcomes:
                self._p.metrics.events.labels(outcome.value).inc()

    async def _answer_without_store(self, decoded: Sequence[Decoded], epoch: str) -> None:
        folded = [fold_shopper(key, None, events, epoch) for key, events in by_shopper(decoded).items()]
        await self._p.producer.send(await self._slates_of(folded, STORE_AWAY))

    async def _slates_of(self, folded: Sequence[Folded], degraded: str | None) -> list[Outgoing]:
        """Hop 6 for all who are owed a slate, and a tombstone for each who is forgotten."""
        owed = [(each, each.owed) for each in folded]
        asks = [_ask(each.profile, record) for each, record in owed if record is not None]
        slates = await self._p.engine.recommend(asks, degraded)
        partitions = [record.record.partition for _, record in owed if record is not None]
        outgoing = [self._outgoing(slate, at) for slate, at in zip(slates, partitions, strict=True)]
        gone = [each.key for each in folded if each.forgotten]
        return outgoing + [Outgoing(self._slates, key.user.encode(), None, key.partition) for key in gone]

    def _outgoing(self, slate: Slate, partition: int) -> Outgoing:
        made = time()
        value = encode_json(replace(slate, made_ms=int(made * 1000)))
        if len(value) > MESSAGE_LIMIT:
            raise Oversize(Reason.OUTPUT_REFUSED, f"a slate of {len(value):,} bytes; the limit is {MESSAGE_LIMIT:,}")
        self._p.metrics.slates.labels(slate.surface).inc()
        self._p.metrics.freshness.observe(max(0.0, made - slate.trigger.time_ms / 1000))
        return Outgoing(self._slates, slate.user_id.encode(), value, partition)

    def _letter(self, bad: Undecoded) -> Outgoing:
        self._p.metrics.dead_letters.labels(bad.error.reason.value).inc()
        self._p.metrics.events.labels("dead_lettered").inc()
        letter = letter_of(bad.record, bad.error, int(time() * 1000), self._p.settings.stream.group)
        return Outgoing(self._letters, bad.record.key, bad.record.value, None, tuple(encode_headers(letter)))


def _ask(profile: Profile, record: Decoded) -> Ask:
    return Ask(profile, trigger_of(record))
