"""The clickstream agent on the real Kafka and Valkey: one slate a batch and user, in order; bad input; repeats."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

from contracts.codec import encode_json
from contracts.errors import Reason
from contracts.events import Consent, Forget, UserId
from contracts.metrics import Metrics
from contracts.profile import Profile
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, RECOMMENDATIONS
from streams.dead_letters import decode_letter
from streams.names import physical
from streams.producer import Outgoing
from streams.store import ProfileKey, Write, open_store
from streams.store.redis import RedisProfiles
from tests.streaming import (
    LAST,
    audit,
    letters_of,
    plain_worker,
    publish,
    records_of,
    running,
    send,
    settled,
    slates_of,
    view,
)


def count(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value("daogou_events_total", {"outcome": outcome}) or 0.0


async def test_every_shopper_is_answered_in_order(shop: Settings) -> None:
    await publish(shop, [view(f"u{n % 20}", n) for n in range(400)], None)
    metrics = Metrics()
    async with running(plain_worker(shop, metrics)):
        await publish(shop, [view(f"u{n % 20}", n) for n in range(400, 500)], None)
        await settled(shop, 500)
    report, slates = await audit(shop), await slates_of(shop)
    assert report.clean, report.shown
    assert (report.applied, report.slates_owed, report.slates_lost) == (500, 20, 0)
    assert 20 <= len(slates) < 500, "one slate a batch and user, not one an event"
    for user in {slate.user_id for slate in slates}:
        offsets = [slate.trigger.offset for slate in slates if slate.user_id == user]
        assert all(a < b for a, b in pairwise(offsets)), "never back to an older event"
    assert count(metrics, "applied") == 500
    assert all(slate.made_ms >= slate.trigger.time_ms for slate in slates)


async def test_bad_records_are_dead_lettered_as_they_came_and_the_rest_goes_on(shop: Settings) -> None:
    topic = physical(shop.kafka, CLICKSTREAM)
    headers = (("shop", b"\x00\xff"), ("daogou.reason", b"forged"), ("daogou.attempts", b"9" * 5000))
    good, garbage = view("u1", 1), b"\xff{not json"
    bad = [(b"u1", garbage, Reason.NOT_UTF8), (b"u2", encode_json(good), Reason.KEY_MISMATCH),
           (None, None, Reason.EMPTY), (b"u1", b'{"type":"dance"}', Reason.UNKNOWN_TYPE)]  # fmt: skip
    await send(shop, [
        Outgoing(topic, b"u1", encode_json(good), LAST),
        *(Outgoing(topic, key, value, LAST, headers) for key, value, _ in bad),
        Outgoing(topic, b"u1", encode_json(view("u1", 2)), LAST),
    ])  # fmt: skip
    metrics = Metrics()
    async with running(plain_worker(shop, metrics)):
        await settled(shop, 6)
    found = [(record, decode_letter(record)) for record in await letters_of(shop)]
    assert [letter.offset for _, letter in found] == [1, 2, 3, 4]
    for (record, letter), (key, value, _) in zip(found, bad, strict=True):
        assert (record.key, record.value) == (key, value)
        assert (letter.topic, letter.partition, letter.attempts, letter.group) == (topic, LAST, 1, shop.stream.group)
        assert [(h.name, h.value) for h in letter.headers] == [("shop", b"\x00\xff")]
        assert [v for name, v in record.headers if name == "daogou.reason"] == [letter.reason.value.encode()]
    assert (count(metrics, "applied"), count(metrics, "dead_lettered")) == (2, 4)
    assert (await audit(shop)).clean


class Poisoned(RedisProfiles):
    """The real store, with a bug: whatever it is asked of one shopper breaks it."""

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        if any(key.user == "poison" for key in keys):
            raise ZeroDivisionError("a bug")
        return await super().load(keys)


async def test_a_record_that_breaks_its_batch_is_found_and_the_rest_goes_on(shop: Settings) -> None:
    events = [view("poison" if n == 37 else f"u{n % 7}", n) for n in range(100)]
    topic = physical(shop.kafka, CLICKSTREAM)
    await send(shop, [Outgoing(topic, event.user_id.encode(), encode_json(event), LAST) for event in events])
    quick = shop.model_copy(update={"stream": shop.stream.model_copy(update={"retries": 2})})
    async with running(plain_worker(quick, store=Poisoned(shop))):
        await settled(shop, 100)
    report = await audit(shop)
    assert report.clean, report.shown
    assert (report.applied, report.dead_lettered, report.applied_and_dead_lettered) == (99, 1, 0)
    letters = [decode_letter(record) for record in await letters_of(shop)]
    assert [(letter.offset, letter.reason) for letter in letters] == [(37, Reason.NOT_APPLICABLE)]
    assert "ZeroDivisionError" in letters[0].message
    assert {slate.user_id for slate in await slates_of(shop)} == {f"u{n}" for n in range(7)}


async def test_a_redelivered_batch_repeats_its_slates_and_changes_nothing(shop: Settings) -> None:
    await publish(shop, [view("u1", 1), view("u1", 2), view("u2", 1)])
    async with running(plain_worker(shop)):
        await settled(shop, 3)
    before = await slates_of(shop)
    again = shop.model_copy(update={"stream": shop.stream.model_copy(update={"group": shop.stream.group + "2"})})
    metrics = Metrics()
    async with running(plain_worker(again, metrics)):  # a group that committed nothing reads all of it again
        await settled(again, 3)
    report, after = await audit(shop), await slates_of(shop)
    assert report.clean, report.shown
    assert count(metrics, "repeated") == 3
    assert len(after) == 2 * len(before)
    assert {slate.recommendation_id for slate in after} == {slate.recommendation_id for slate in before}


async def test_a_forgotten_shopper_loses_the_slate(shop: Settings) -> None:
    now = int(time.time() * 1000)
    async with running(plain_worker(shop)):
        await publish(shop, [view("u1", 1), view("u2", 1), view("u3", 1)])
        await settled(shop, 3)
        await publish(shop, [
            Forget(event_id="f1", user_id="u1", time_ms=now),
            Consent(event_id="c2", user_id="u2", time_ms=now, granted=False),
            Forget(event_id="f3", user_id="u3", time_ms=now), view("u3", 2),
        ])  # fmt: skip
        await settled(shop, 7)
    last = {record.key: record.value for record in await records_of(shop, RECOMMENDATIONS)}
    assert last[b"u1"] is None
    assert last[b"u2"] is None
    assert last[b"u3"] is not None, "answered since"
    assert (await audit(shop)).clean


async def test_a_zombie_is_fenced_by_the_version(shop: Settings) -> None:
    store = open_store(shop)
    key = ProfileKey(LAST, UserId("u1"))

    class Overtaken(RedisProfiles):
        """Between this worker's load and its save, another one writes."""

        overtaken = False

        async def save(self, writes: Sequence[Write]) -> list[bool]:
            if writes and not self.overtaken:
                self.overtaken = True
                assert await store.save([Write(key, writes[0].profile, 0)]) == [True]
            return await super().save(writes)

    topic = physical(shop.kafka, CLICKSTREAM)
    await send(shop, [Outgoing(topic, b"u1", encode_json(view("u1", 1)), LAST)])
    metrics = Metrics()
    async with running(plain_worker(shop, metrics, Overtaken(shop))):
        await settled(shop, 1)
    profile = (await store.load([key]))[0]
    await store.close()
    assert profile is not None
    assert profile.version == 1, "folded once"
    assert metrics.registry.get_sample_value("daogou_batch_retries_total", {"error": "Conflict"}) == 1
    assert (await audit(shop)).clean


async def test_a_slate_too_large_for_its_topic_is_dead_lettered_and_the_next_goes_out(shop: Settings) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    from streams.admin import admin_client

    name = physical(shop.kafka, RECOMMENDATIONS)

    def set_limit(size: int) -> None:
        with admin_client(shop.kafka) as client:
            limit = {"max.message.bytes": str(size)}
            client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=limit)])

    await asyncio.to_thread(set_limit, 100)
    async with running(plain_worker(shop)):
        await publish(shop, [view("u1", 1)])
        await settled(shop, 1)
        await asyncio.to_thread(set_limit, 1_000_000)
        await publish(shop, [view("u1", 2)])
        await settled(shop, 2)
    assert [decode_letter(r).reason for r in await letters_of(shop)] == [Reason.OUTPUT_REFUSED]
    assert [slate.trigger.event_id for slate in await slates_of(shop)] == ["u1-2"]
