"""``verify``, ``rebuild`` and forgetting, on real Kafka and Valkey: a clean shop is clean, and each fault is found."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from contracts.codec import encode_json
from contracts.errors import Refused, Unavailable
from contracts.events import AnyEvent, Consent, EventId, Forget, ItemId, Purchase, RecommendationId, UserId, View
from contracts.events import Line as OrderLine
from contracts.messages import Slate, Trigger
from contracts.profile import Profile
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, DEAD_LETTERS, RECOMMENDATIONS
from streams.admin import topic_epoch
from streams.dead_letters import PREFIX
from streams.names import physical
from streams.producer import Outgoing, Producer
from streams.rebuild import rebuild
from streams.replay import Log
from streams.shoppers import find, forget
from streams.store import ProfileKey, ProfileStore, Write, open_statistics, open_store
from streams.store.memory import MemoryProfiles, MemoryStatistics
from streams.verify import verify
from streams.verify_report import Report

NOW_MS = int(time.time() * 1000) - 60_000


def view(user: str, n: int, event_id: str = "") -> View:
    return View(event_id=event_id or f"{user}-{n}", user_id=user, time_ms=NOW_MS + n, item_id=f"i{n % 5}")


EVENTS: list[AnyEvent] = [
    *(view(f"u{n % 7}", n) for n in range(60)),
    view("u0", 61, event_id="u0-0"),  # a producer's repeat
    Purchase(event_id="p", user_id="u1", time_ms=NOW_MS, lines=(OrderLine(item_id="i1", price=0.1, quantity=3),)),
    Forget(event_id="f", user_id="u2", time_ms=NOW_MS + 100),
    Consent(event_id="c", user_id="u3", time_ms=NOW_MS + 100, granted=False),
]


class Shop:
    """A shop whose log is known: what the workers would have done is done by hand."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self.settings = settings
        self.topic = physical(settings.kafka, CLICKSTREAM)
        self._producer = producer

    def place(self, user: str) -> int:
        return sum(user.encode()) % self.settings.kafka.partitions

    async def publish(self, *events: AnyEvent) -> None:
        await self._producer.send([
            Outgoing(self.topic, e.user_id.encode(), encode_json(e), self.place(e.user_id)) for e in events
        ])  # fmt: skip

    async def publish_garbage(self, partition: int) -> None:
        await self._producer.send([Outgoing(self.topic, b"x", b"garbage", partition)])

    async def bury(self, partition: int, offset: int) -> None:
        place = {"topic": self.topic, "partition": str(partition), "offset": str(offset)}
        headers = (*((PREFIX + name, text.encode()) for name, text in place.items()), ("daogou.reason", b"not_json"))
        await self._producer.send([Outgoing(physical(self.settings.kafka, DEAD_LETTERS), b"x", b"", 0, headers)])

    async def answer(self, user: str, offset: int | None) -> None:
        name, partition = physical(self.settings.kafka, RECOMMENDATIONS), self.place(user)
        trigger = Trigger(event_id=EventId("e"), topic=self.topic, partition=partition, offset=offset or 0, time_ms=0)
        slate = Slate(
            recommendation_id=RecommendationId(f"{user}-{offset}"), user_id=UserId(user), surface="home", items=(),
            trigger=trigger, profile_version=1, bundle=None,
        )  # fmt: skip
        value = None if offset is None else encode_json(slate)
        await self._producer.send([Outgoing(name, user.encode(), value, partition)])

    async def answer_all(self, store: ProfileStore) -> None:
        keys = [key async for key in store.scan()]
        for profile in await store.load(keys):
            assert profile
            if profile.answered >= 0:
                await self.answer(profile.user_id, profile.answered)

    async def end(self, partition: int) -> int:
        async with Log(self.settings.kafka) as log:
            return (await log.spans(CLICKSTREAM))[partition].end


@asynccontextmanager
async def open_shop(settings: Settings) -> AsyncIterator[Shop]:
    producer = Producer(settings.kafka)
    await producer.start()
    try:
        yield Shop(settings, producer)
    finally:
        await producer.stop()


async def made(shop: Shop, store: ProfileStore) -> None:
    await shop.publish(*EVENTS)
    await rebuild(shop.settings, store, MemoryStatistics(), force=True)
    await shop.answer_all(store)


def kinds(report: Report) -> set[str]:
    return {difference.kind for difference in report.shown}


async def test_a_whole_shop_is_clean(shop: Settings) -> None:
    async with open_shop(shop) as our, opened(shop) as store:
        await made(our, store)
        await our.publish_garbage(1)
        await our.bury(1, await our.end(1) - 1)
        await our.bury(1, await our.end(1) - 1)
        await our.answer("u5", (await loaded(store, our, "u5")).answered)  # a slate sent again is no fault
        report = await verify(shop, store)
    assert report.clean, report.shown
    assert (report.records, report.applied, report.duplicates) == (65, 63, 1)
    assert (report.dead_lettered, report.dead_letters_repeated, report.lost) == (1, 1, 0)
    assert (report.shoppers, report.profiles_equal) == (7, 7)
    assert (report.slates_owed, report.slates, report.slates_repeated) == (5, 6, 1)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[ProfileStore]:
    store = open_store(settings)
    try:
        yield store
    finally:
        await store.close()


async def loaded(store: ProfileStore, shop: Shop, user: str) -> Profile:
    (profile,) = await store.load([ProfileKey(shop.place(user), UserId(user))])
    assert profile
    return profile


async def lose_a_profile(shop: Shop, store: ProfileStore) -> None:
    await store.delete([ProfileKey(shop.place("u4"), UserId("u4"))])


async def change_a_count(shop: Shop, store: ProfileStore) -> None:
    profile = await loaded(store, shop, "u4")
    changed = replace(profile, loyalty=replace(profile.loyalty, spent=profile.loyalty.spent + 1e-12))
    await store.save([Write(ProfileKey(shop.place("u4"), profile.user_id), changed, profile.version)])


async def invent_a_shopper(shop: Shop, store: ProfileStore) -> None:
    await store.save([Write(ProfileKey(0, UserId("nobody")), Profile(UserId("nobody"), version=1), 0)])


async def lose_a_record(shop: Shop, _store: ProfileStore) -> None:
    await shop.publish_garbage(0)


async def answer_an_old_event(shop: Shop, store: ProfileStore) -> None:
    await shop.answer("u4", (await loaded(store, shop, "u4")).answered - 1)


async def take_a_slate_away(shop: Shop, _store: ProfileStore) -> None:
    await shop.answer("u4", None)


async def show_a_forgotten_shopper_a_slate(shop: Shop, _store: ProfileStore) -> None:
    await shop.answer("u2", 0)


async def keep_a_slate_of_who_withdrew_consent(shop: Shop, _store: ProfileStore) -> None:
    await shop.answer("u3", 0)


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lose_a_profile, "missing profile"),
        (change_a_count, "different profile"),
        (invent_a_shopper, "strange profile"),
        (lose_a_record, "lost record"),
        (answer_an_old_event, "lost slate"),
        (take_a_slate_away, "lost slate"),
        (show_a_forgotten_shopper_a_slate, "slate of a forgotten shopper"),
        (keep_a_slate_of_who_withdrew_consent, "slate of a forgotten shopper"),
    ],
)
async def test_each_fault_is_found(
    shop: Settings, harm: Callable[[Shop, ProfileStore], Awaitable[None]], kind: str
) -> None:
    store = MemoryProfiles()
    async with open_shop(shop) as our:
        await made(our, store)
        await harm(our, store)
        report = await verify(shop, store)
    assert report.differences == 1, report.shown
    assert kinds(report) == {kind}


async def test_events_that_nobody_applied_are_found(shop: Settings) -> None:
    store = MemoryProfiles()
    async with open_shop(shop) as our:
        await made(our, store)
        await our.publish(view("u4", 90), view("new", 91))
        report = await verify(shop, store)
    assert kinds(report) == {"different profile", "missing profile", "lost slate"}
    assert (report.profiles_different, report.profiles_missing, report.slates_lost) == (1, 1, 2)


async def test_a_store_is_made_again_and_only_over_an_empty_one_unless_forced(shop: Settings) -> None:
    async with open_shop(shop) as our, opened(shop) as store:
        statistics = open_statistics(shop)
        await made(our, store)
        with pytest.raises(Refused, match="--force"):
            await rebuild(shop, store, statistics)
        await lose_a_profile(our, store)
        await invent_a_shopper(our, store)
        done = await rebuild(shop, store, statistics, force=True)
        assert (done.shoppers, done.removed, done.unreadable, done.statistics) == (7, 7, 0, True)
        assert not (await rebuild(shop, store, statistics, force=True)).statistics  # learned once, not twice
        assert (await statistics.changes(None)).trend
        assert (await verify(shop, store)).clean
        assert (await loaded(store, our, "u2")).history.items == ()  # forgotten stays forgotten
        await statistics.close()


async def test_forgetting_waits_until_it_is_done(shop: Settings) -> None:
    store = MemoryProfiles()
    async with open_shop(shop) as our:
        await made(our, store)
        with pytest.raises(Unavailable, match="no worker"):
            await forget(shop, store, UserId("u4"), seconds=0.1)
        forgetting = asyncio.create_task(forget(shop, store, UserId("u4"), seconds=20))
        while not forgetting.done():
            fresh = MemoryProfiles()
            await rebuild(shop, fresh, MemoryStatistics())
            (found,) = await find(shop, fresh, UserId("u4"))
            before = await loaded(store, our, "u4")
            await store.save([Write(ProfileKey(found.partition, UserId("u4")), found.profile, before.version)])
        assert await forgetting == 1
        (left,) = await find(shop, store, UserId("u4"))
    assert (left.profile.history.items, left.profile.answered) == ((), -1)
    assert left.profile.position
    assert left.profile.position.epoch == topic_epoch(shop.kafka)


async def test_statistics_of_a_rebuild_are_those_of_the_log(shop: Settings) -> None:
    statistics = MemoryStatistics()
    async with open_shop(shop) as our:
        await our.publish(view("a", 1), view("a", 2))
        await rebuild(shop, MemoryProfiles(), statistics)
    changes = await statistics.changes(None)
    assert {row.item for row in changes.followers if row.followers} == {ItemId("i1")}
    assert {weighted.item for weighted in changes.trend} == {"i1", "i2"}
