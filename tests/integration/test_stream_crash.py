"""A worker that dies at any step loses nothing and does nothing twice; one that is told to stop drains."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.codec import encode_json
from contracts.events import UserId
from contracts.messages import CatalogueItem
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM
from launch.embedded.valkey import Valkey
from streams.admin import admin_client, create_topics
from streams.names import physical
from streams.producer import Outgoing
from streams.store import ProfileKey, open_store
from streams.watchdog import EXIT_STUCK
from tests.streaming import LAST, audit, plain_worker, publish, running, send, settled, slates_of, view
from tests.streaming import worker_process as process

EVENTS = 300
AWAY = "profiles unavailable"


def events(count: int = EVENTS, start: int = 0) -> list:
    return [view(f"u{n % 11}", n) for n in range(start, start + count)]


@pytest.fixture
def small(shop: Settings) -> Settings:
    """Small batches, so that there are several of them."""
    return shop.model_copy(update={"stream": shop.stream.model_copy(update={"batch": 50})})


@pytest.mark.parametrize("step", ["load", "save", "disk", "acked"])
async def test_killed_at_a_step_and_started_again(small: Settings, tmp_path: Path, step: str) -> None:
    await publish(small, events(100), None)
    with process(small, tmp_path, fault=step, after=1) as doomed:
        await publish(small, events(200, 100), None)
        assert await doomed.ended() == -9, doomed.log
    async with running(plain_worker(small)):
        await settled(small, EVENTS)
    report = await audit(small)
    assert report.clean, report.shown
    assert (report.applied, report.slates_lost, report.profiles_equal) == (EVENTS, 0, 11)
    by_offset = {(s.trigger.partition, s.trigger.offset): set() for s in await slates_of(small)}
    for slate in await slates_of(small):
        by_offset[slate.trigger.partition, slate.trigger.offset].add(slate.recommendation_id)
    assert all(len(ids) == 1 for ids in by_offset.values()), "a repeat has the same id"


async def test_told_to_stop_in_the_middle_of_a_batch_it_drains(small: Settings, tmp_path: Path) -> None:
    await publish(small, events(), None)
    with process(small, tmp_path, slow=0.3) as worker:
        await worker.says("loading")
        began = time.monotonic()
        worker.terminate()
        assert await worker.ended(15) == 0, worker.log
        assert time.monotonic() - began < 10
    async with running(plain_worker(small)):
        await settled(small, EVENTS)
    report = await audit(small)
    assert report.clean, report.shown
    assert report.slates_repeated == 0, "what it had in hand was done, acked and committed"


async def test_a_worker_that_stands_still_ends_with_a_clear_message(small: Settings, tmp_path: Path) -> None:
    impatient = small.model_copy(update={"stream": small.stream.model_copy(update={"stuck_after": 3.0})})
    await publish(small, events(10))
    with process(impatient, tmp_path, slow=60.0) as worker:
        assert await worker.ended() == EXIT_STUCK
        assert "10 records in hand and nothing has moved" in worker.log


async def test_two_workers_share_and_one_is_killed(small: Settings, tmp_path: Path) -> None:
    with process(small, tmp_path, slow=0.05) as first, process(small, tmp_path, slow=0.05) as second:
        await first.ready()
        await second.ready()
        for start in range(0, 600, 100):
            await publish(small, events(100, start), None)
        await first.says("loading")
        await second.says("loading")
        first.kill()
        await publish(small, events(100, 600), None)
        await settled(small, 700, second.check)
    report = await audit(small)
    assert report.clean, report.shown
    assert (report.applied, report.slates_lost) == (700, 0)


async def test_a_worker_that_joins_takes_over_without_loss(small: Settings, tmp_path: Path) -> None:
    with process(small, tmp_path, slow=0.05) as first:
        await first.ready()
        await publish(small, events(300), None)
        await first.says("loading")
        with process(small, tmp_path, slow=0.05) as second:
            await second.ready()
            await publish(small, events(300, 300), None)
            await settled(small, 600, second.check)
            first.terminate()
            assert await first.ended(15) == 0, first.log
            await publish(small, events(100, 600), None)
            await settled(small, 700, second.check)
    report = await audit(small)
    assert report.clean, report.shown
    assert (report.applied, report.slates_repeated) == (700, 0)


async def test_a_re_created_clickstream_is_another_life(shop: Settings) -> None:
    async with running(plain_worker(shop)):
        await publish(shop, [view("u1", n) for n in range(5)])
        await settled(shop, 5)
        name = physical(shop.kafka, CLICKSTREAM)
        await asyncio.to_thread(_recreate, shop, name)
        await publish(shop, [view("u1", n) for n in range(100, 103)])
        await settled(shop, 3)
    store = open_store(shop)
    profile = (await store.load([ProfileKey(LAST, UserId("u1"))]))[0]
    await store.close()
    assert profile is not None
    assert profile.version == 8, "offsets that start again are no repeats"
    assert profile.position is not None
    assert profile.position.offset == 2
    assert [s.trigger.event_id for s in await slates_of(shop)][-1] == "u1-102"


def _recreate(settings: Settings, name: str) -> None:
    with admin_client(settings.kafka) as client:
        client.delete_topics([name])
    deadline = time.monotonic() + 20
    while name not in create_topics(settings.kafka):
        assert time.monotonic() < deadline


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    yield server
    server.stop()


async def test_while_redis_is_away_the_slate_degrades_and_nothing_is_lost(
    shop: Settings, valkey: Valkey, tmp_path: Path
) -> None:
    away = shop.model_copy(update={"redis": shop.redis.model_copy(update={"url": type(shop.redis.url)(valkey.url)})})
    item = CatalogueItem(item_id="i2", title="green tea", added_ms=1)
    await send(away, [Outgoing(physical(away.kafka, CATALOGUE), b"i2", encode_json(item))])
    async with running(plain_worker(away)):
        await publish(away, [view("u1", 1)])
        await settled(away, 1)
        valkey.process.kill()
        valkey.process.wait()
        await publish(away, [view("u1", 2), view("u1", 3)])
        async with asyncio.timeout(20):
            while not (degraded := [s for s in await slates_of(away) if s.degraded == AWAY]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        back = Valkey(tmp_path / "valkey")  # the same folder, the same port
        try:
            await settled(away, 3)
            report = await audit(away)
        finally:
            back.stop()
    assert report.clean, report.shown
    assert report.applied == 3
    slates = await slates_of(away)
    assert Counter(s.degraded == AWAY for s in slates)[True] == len(degraded) == 1
    assert slates[-1].degraded != AWAY
    assert slates[-1].recommendation_id == degraded[0].recommendation_id
