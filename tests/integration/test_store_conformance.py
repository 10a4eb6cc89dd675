"""One suite for every store: what ``streams/store/protocol.py`` promises, on memory and on a real Valkey."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from contracts.events import ItemId, UserId, View
from contracts.profile import Position, Profile, apply
from contracts.settings import Settings, load_settings
from contracts.statistics import Decay, Increments
from launch.embedded.valkey import Valkey
from streams.store import ProfileKey, ProfileStore, StatisticsStore, Weighted, Write, open_statistics, open_store
from streams.store.memory import MemoryProfiles, MemoryStatistics
from streams.store.protocol import FOLLOWERS_KEPT

KINDS = ("memory", "redis")
U1, U2 = ProfileKey(0, UserId("u1")), ProfileKey(5, UserId("u2"))


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey") / "data")
    yield server
    server.stop()


@pytest.fixture
def settings(valkey: Valkey, request: pytest.FixtureRequest) -> Settings:
    """A shop of its own for each test, on the shared server."""
    prefix = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60] + "."
    return load_settings(redis={"url": valkey.url}, kafka={"topic_prefix": prefix})


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[ProfileStore]:
    opened: ProfileStore = MemoryProfiles() if request.param == "memory" else open_store(settings)
    await opened.check()
    yield opened
    await opened.close()


@pytest.fixture(params=KINDS)
async def statistics(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[StatisticsStore]:
    opened: StatisticsStore = MemoryStatistics() if request.param == "memory" else open_statistics(settings)
    yield opened
    await opened.close()


def profile(key: ProfileKey, events: int = 1) -> Profile:
    """What ``events`` views make."""
    now: Profile | None = None
    for n in range(events):
        seen = View(event_id=f"e{n}", user_id=key.user, time_ms=1_767_225_600_000 + n, item_id=f"i{n % 7}")
        now = apply(now, Position("epoch", key.partition, n), seen).profile
    assert now is not None
    return now


def increments(*pairs: tuple[str, str, float], trend: dict[str, float] | None = None, latest_ms: int = 1) -> Increments:
    made = Increments(Decay())
    for item, follower, weight in pairs:
        made.pairs[ItemId(item)][ItemId(follower)] += weight
    for item, weight in (trend or {}).items():
        made.trend[ItemId(item)] += weight
    made.latest_ms = latest_ms
    return made


async def everything(statistics: StatisticsStore, **arguments: Any) -> dict[str, dict[str, float]]:
    """All followers that a new reader gets, page after page."""
    found: dict[str, dict[str, float]] = {}
    cursor = None
    while True:
        page = await statistics.changes(cursor, **arguments)
        found |= {item: dict(followers) for item, followers in page.followers}
        cursor = page.cursor
        if page.complete:
            return found


class TestProfiles:
    async def test_what_is_saved_is_loaded_in_the_order_asked(self, store: ProfileStore) -> None:
        first, second = profile(U1, 3), profile(U2, 150)
        assert await store.save([Write(U1, first, 0), Write(U2, second, 0)]) == [True, True]
        absent = ProfileKey(0, UserId("u2"))  # the same user in another partition is another key
        assert await store.load([U2, absent, U1, U2]) == [second, None, first, second]

    async def test_nothing_asked_nothing_done(self, store: ProfileStore) -> None:
        assert await store.load([]) == []
        assert await store.save([]) == []
        assert await store.delete([]) == 0
        await store.on_disk()

    async def test_a_version_that_is_not_there_is_refused(self, store: ProfileStore) -> None:
        assert await store.save([Write(U1, profile(U1, 2), 1), Write(U2, profile(U2, 1), 0)]) == [False, True]
        assert await store.save([Write(U2, profile(U2, 2), 0), Write(U2, profile(U2, 3), 2)]) == [False, False]
        assert await store.load([U1, U2]) == [None, profile(U2, 1)]

    async def test_one_key_twice_in_a_batch_is_done_in_order(self, store: ProfileStore) -> None:
        writes = [Write(U1, profile(U1, 1), 0), Write(U1, profile(U1, 2), 1), Write(U1, profile(U1, 3), 1)]
        assert await store.save(writes) == [True, True, False]
        assert await store.load([U1]) == [profile(U1, 2)]

    async def test_of_two_writers_one_wins(self, store: ProfileStore) -> None:
        keys = [ProfileKey(n % 6, UserId(f"u{n}")) for n in range(200)]
        mine = [Write(key, profile(key, 1), 0) for key in keys]
        theirs = [Write(key, profile(key, 2), 0) for key in keys]
        results = await asyncio.gather(*(store.save(part) for part in (mine[:100], theirs, mine[100:])))
        won = [a != b for a, b in zip(results[0] + results[2], results[1], strict=True)]
        assert all(won)
        versions = [found.version for found in await store.load(keys) if found]
        assert versions == [2 if theirs_won else 1 for theirs_won in results[1]]

    async def test_a_zombie_is_refused(self, store: ProfileStore) -> None:
        await store.save([Write(U1, profile(U1, 5), 0)])
        (held,) = await store.load([U1])
        assert held
        assert held.version == 5
        assert await store.save([Write(U1, profile(U1, 9), 5)]) == [True]
        assert await store.save([Write(U1, profile(U1, 6), 5)]) == [False]
        await store.delete([U1])
        assert await store.save([Write(U1, profile(U1, 6), 5)]) == [False]
        assert await store.load([U1]) == [None]

    @pytest.mark.parametrize(
        "user", ["a b", "naïve 用户", "{3}", "}:x", "profile:{1}:u", "*?[a]", "x" * 256, "0", "'\"\\"]
    )
    async def test_any_user_id_is_a_key(self, store: ProfileStore, user: str) -> None:
        key = ProfileKey(12, UserId(user))
        await store.save([Write(key, profile(key), 0)])
        assert await store.load([key]) == [profile(key)]
        assert [k async for k in store.scan()] == [key]

    async def test_keys_are_all_keys_and_deleted_ones_are_gone(self, store: ProfileStore) -> None:
        keys = {ProfileKey(n % 6, UserId(f"u{n}")) for n in range(2500)}
        await store.save([Write(key, profile(key), 0) for key in keys])
        assert {k async for k in store.scan()} == keys
        gone = {key for key in keys if key.partition < 3}
        assert await store.delete([*gone, ProfileKey(1, UserId("never there"))]) == len(gone)
        assert {k async for k in store.scan()} == keys - gone

    async def test_a_cancelled_caller_disturbs_nobody(self, store: ProfileStore) -> None:
        keys = [ProfileKey(n % 6, UserId(f"u{n}")) for n in range(50)]
        await store.save([Write(key, profile(key), 0) for key in keys])
        for n in range(40):
            task = asyncio.create_task(_load(store, keys[n : n + 5]))
            for _ in range(n % 4):
                await asyncio.sleep(0)  # so that they are cancelled at different points
            task.cancel()
            assert await store.load([keys[n]]) == [profile(keys[n])]

    async def test_it_does_what_a_dictionary_does(self, store: ProfileStore) -> None:
        chance, model = random.Random(7), dict[ProfileKey, Profile]()
        keys = [ProfileKey(n % 3, UserId(f"u{n}")) for n in range(8)]
        for _ in range(150):
            batch = chance.sample(keys, chance.randint(1, 5))
            writes = [Write(key, profile(key, chance.randint(1, 4)), chance.randint(0, 4)) for key in batch]
            versions = [model[key].version if key in model else 0 for key in batch]
            fits = [write.expected_version == version for write, version in zip(writes, versions, strict=True)]
            assert await store.save(writes) == fits
            model |= {w.key: w.profile for w, fit in zip(writes, fits, strict=True) if fit}
            if chance.random() < 0.2:
                await store.delete(gone := chance.sample(keys, 2))
                model = {key: value for key, value in model.items() if key not in gone}
            assert await store.load(keys) == [model.get(key) for key in keys]


async def _load(store: ProfileStore, keys: list[ProfileKey]) -> None:
    await store.load(keys)


class TestStatistics:
    async def test_counts_of_all_workers_add_up(self, statistics: StatisticsStore) -> None:
        await statistics.flush(increments(("a", "b", 1.5), ("a", "c", 1.0), trend={"b": 1.0, "c": 2.0}, latest_ms=70))
        await statistics.flush(increments(("a", "b", 0.25), ("b", "a", 3.0), trend={"b": 0.5}, latest_ms=50))
        changes = await statistics.changes(None)
        assert dict(changes.followers) == {
            "a": (Weighted(ItemId("b"), 1.75), Weighted(ItemId("c"), 1.0)), "b": (Weighted(ItemId("a"), 3.0),), "c": (),
        }  # fmt: skip
        assert dict(changes.trend) == {"b": 1.5, "c": 2.0}
        assert (changes.latest_ms, changes.complete) == (70, True)

    async def test_an_empty_store_has_no_changes(self, statistics: StatisticsStore) -> None:
        changes = await statistics.changes(None)
        assert (changes.followers, changes.trend, changes.latest_ms, changes.complete) == ((), (), 0, True)
        await statistics.flush(Increments(Decay()))
        assert (await statistics.changes(changes.cursor)).followers == ()

    async def test_a_cursor_sees_what_is_new_and_only_that(self, statistics: StatisticsStore) -> None:
        await statistics.flush(increments(("a", "b", 1.0), ("c", "d", 1.0)))
        cursor = (await statistics.changes(None)).cursor
        assert (await statistics.changes(cursor)).followers == ()
        await statistics.flush(increments(("c", "e", 2.0)))
        changes = await statistics.changes(cursor)
        assert [(f.item, dict(f.followers)) for f in changes.followers] == [("c", {"e": 2.0, "d": 1.0})]
        assert (await statistics.changes(changes.cursor)).followers == ()

    async def test_pages_are_bounded_and_leave_nothing_out(self, statistics: StatisticsStore) -> None:
        await statistics.flush(increments(*((f"i{n}", "x", n + 1.0) for n in range(95))))
        assert len((await statistics.changes(None, page=10)).followers) == 10
        assert await everything(statistics, page=10) == {f"i{n}": {"x": n + 1.0} for n in range(95)}

    async def test_readers_miss_nothing_while_many_write(self, statistics: StatisticsStore) -> None:
        seen: set[str] = set()
        cursor, writers = None, [_write(statistics, writer) for writer in range(4)]
        writing = asyncio.gather(*writers)
        while True:
            done = writing.done()
            page = await statistics.changes(cursor, page=7)
            cursor = page.cursor
            seen |= {followers.item for followers in page.followers}
            await asyncio.sleep(0)  # memory alone would never let the writers run
            if done and page.complete:
                break
        assert seen == {f"i{writer}-{n}" for writer in range(4) for n in range(25)}

    @pytest.mark.parametrize("weight", [5e-324, 1.1e-196, 0.1, 1 / 3, 2.0**53 + 2, 2.0**1000 / 3, 1.7e308])
    async def test_weights_come_back_as_the_same_doubles(self, statistics: StatisticsStore, weight: float) -> None:
        await statistics.flush(increments(("a", "b", weight), trend={"b": weight}))
        changes = await statistics.changes(None)
        assert changes.followers[0].followers == (Weighted(ItemId("b"), weight),)
        assert changes.trend == (Weighted(ItemId("b"), weight),)

    async def test_the_strongest_followers_are_kept(self, statistics: StatisticsStore) -> None:
        many = FOLLOWERS_KEPT + 50
        await statistics.flush(increments(*(("a", f"i{n}", n + 1.0) for n in range(many))))
        kept = await everything(statistics, neighbours=many)
        assert kept == {"a": {f"i{n}": n + 1.0 for n in range(50, many)}}
        (top,) = (await statistics.changes(None, neighbours=3)).followers
        assert top.followers == tuple(Weighted(ItemId(f"i{n}"), n + 1.0) for n in range(many - 1, many - 4, -1))

    @pytest.mark.parametrize("item", ["a b", "产品", "{x}", "x" * 256, "1", "1e5", "nan"])
    async def test_any_item_id_is_a_member(self, statistics: StatisticsStore, item: str) -> None:
        await statistics.flush(increments((item, item, 1.0), trend={item: 1.0}))
        changes = await statistics.changes(None)
        assert changes.followers[0] == (item, (Weighted(ItemId(item), 1.0),))
        assert changes.trend == ((item, 1.0),)


async def _write(statistics: StatisticsStore, writer: int) -> None:
    for n in range(25):
        await statistics.flush(increments((f"i{writer}-{n}", "x", 1.0)))


async def test_two_shops_on_one_server_see_nothing_of_each_other(valkey: Valkey) -> None:
    shops = [load_settings(redis={"url": valkey.url}, kafka={"topic_prefix": name}) for name in ("", "a.", "a.b.")]
    stores, counts = [open_store(s) for s in shops], [open_statistics(s) for s in shops]
    for n, (store, statistics) in enumerate(zip(stores, counts, strict=True)):
        assert await store.save([Write(U1, profile(U1, n + 1), 0)]) == [True]
        await statistics.flush(increments((f"i{n}", "x", 1.0)))
    for n, (store, statistics) in enumerate(zip(stores, counts, strict=True)):
        assert [key async for key in store.scan()] == [U1]
        assert await store.load([U1]) == [profile(U1, n + 1)]
        assert await everything(statistics) == {f"i{n}": {"x": 1.0}}
        await store.close()
        await statistics.close()
