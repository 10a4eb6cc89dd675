"""The store made again from the log: Redis is a cache of Kafka. A forgotten shopper stays forgotten.

Partition after partition, so memory holds the profiles of one partition's shoppers. Workers must not run meanwhile:
what they would write is found by the compare-and-set, and ends the rebuild.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from msgspec import Struct

from contracts.codec import decode_event
from contracts.errors import BadInput, Refused
from contracts.events import AnyEvent, UserId
from contracts.profile import Outcome, Position, Profile, apply
from contracts.settings import Settings
from contracts.statistics import Decay, Increments
from contracts.topics import CLICKSTREAM
from streams.replay import Log, Span
from streams.store import ProfileKey, ProfileStore, StatisticsStore, Write

AT_ONCE = 500
LESSONS = 20_000  # events whose lessons are summed before they are handed over

Say = Callable[[int, int], None]


class Rebuilt(Struct, kw_only=True):
    """What was done. ``unreadable``: no events; ``deleted``: records that retention has taken, and their effects."""

    records: int = 0
    unreadable: int = 0
    shoppers: int = 0
    removed: int = 0
    deleted: int = 0
    statistics: bool = False
    seconds: float = 0.0


async def rebuild(
    settings: Settings,
    store: ProfileStore,
    statistics: StatisticsStore,
    force: bool = False,
    say: Say = lambda _done, _total: None,
) -> Rebuilt:
    """Fold the whole log into the store. ``force``: remove the profiles that are there first.

    Counts of all shoppers are learned again only where there are none. ``say`` hears (records done, in all).

    Raises:
        Refused: there are profiles already, or somebody writes at the same time.
        BrokerUnavailable, StoreUnavailable, TopicsRefused: try again later; begin anew with ``force``.
    """
    began, done = monotonic(), Rebuilt()
    async with Log(settings.kafka) as log:
        spans = await log.spans(CLICKSTREAM)
        done.removed = await _emptied(store, force)
        done.statistics = not (await statistics.changes(None, page=1)).trend
        teacher = Teacher(statistics) if done.statistics else None
        total = sum(span.end - span.begin for span in spans)
        for span in spans:
            folder = Folder(span, log.epoch(CLICKSTREAM), settings.stream.event_limit, done, teacher)
            async for records in log.read(span):
                await folder.fold(records)
                say(done.records, total)
            await folder.save(store)
        if teacher:
            await teacher.flush()
    await store.on_disk()
    done.seconds = round(monotonic() - began, 3)
    return done


async def _emptied(store: ProfileStore, force: bool) -> int:
    removed, some = 0, list[ProfileKey]()
    async for key in store.scan():
        if not force:
            raise Refused("the store has profiles already; --force removes them first and makes all of them again")
        some.append(key)
        if len(some) == AT_ONCE:
            removed, some = removed + await store.delete(some), []
    return removed + await store.delete(some)


class Teacher:
    """Sums what events teach, and hands it over now and then."""

    def __init__(self, statistics: StatisticsStore) -> None:
        self._statistics = statistics
        self._increments, self._events = Increments(Decay()), 0

    def learn(self, before: Profile | None, event: AnyEvent) -> None:
        """Note what an event teaches."""
        self._increments.learn(before, event)
        self._events += 1

    async def flush(self, least: int = 1) -> None:
        """Hand over what was learned since the last time, if from at least so many events."""
        if self._events >= least:
            await self._statistics.flush(self._increments)
            self._increments, self._events = Increments(Decay()), 0


class Folder:
    """The profiles of one partition, growing with its log."""

    def __init__(self, span: Span, epoch: str, event_limit: int, done: Rebuilt, teacher: Teacher | None) -> None:
        self._span, self._epoch, self._limit = span, epoch, event_limit
        self._done, self._teacher = done, teacher
        self._profiles: dict[UserId, Profile] = {}
        done.deleted += span.begin

    async def fold(self, records: Sequence[Any]) -> None:
        """Fold records in their order; what is no event was dead-lettered before."""
        for record in records:
            self._done.records += 1
            try:
                event = decode_event(record.value, record.key, record.headers, record.timestamp, self._limit)
            except BadInput:
                self._done.unreadable += 1
            else:
                self._apply(record.offset, event)
        if self._teacher:
            await self._teacher.flush(LESSONS)

    def _apply(self, offset: int, event: AnyEvent) -> None:
        user = UserId(event.user_id)
        before = self._profiles.get(user)
        self._profiles[user], outcome = apply(before, Position(self._epoch, self._span.partition, offset), event)
        if self._teacher and outcome is Outcome.APPLIED:
            self._teacher.learn(before, event)

    async def save(self, store: ProfileStore) -> None:
        """Write all profiles, each where there must be none. Raises: Refused."""
        writes = [Write(ProfileKey(self._span.partition, user), p, 0) for user, p in self._profiles.items()]
        for at in range(0, len(writes), AT_ONCE):
            if not all(await store.save(writes[at : at + AT_ONCE])):
                raise Refused("somebody else writes profiles; stop the workers and run it again with --force")
        self._done.shoppers += len(writes)
