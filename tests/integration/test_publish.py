"""Files into the topics, on the real Kafka: events, items, and what people read back."""

import asyncio
import gzip
import json
from collections import defaultdict
from pathlib import Path
from time import monotonic

import pytest

from contracts.codec import decode_event, encode_json
from contracts.errors import EnvironmentRefused, TopicsRefused
from contracts.events import EventId, Forget, ItemId, RecommendationId, UserId
from contracts.messages import CatalogueItem, Slate, SlateItem, Trigger
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM, RECOMMENDATIONS
from launch.catalogue_files import current_items, delete_items, import_items, put_items
from launch.log_snapshot import EVENTS, ITEMS, save_log
from launch.publish import Published, Publisher, Speed
from launch.shop.files import write_shop
from launch.shop.shop import Shop
from launch.slates import last_slate, slates_as_they_come
from launch.topic_reader import read_to_end
from streams.names import partition_of, physical
from streams.producer import Outgoing, Producer
from training.log import read_log


def view(user: str, item: str, second: float) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "event_type": "view", "timestamp": 1_500_000_000 + second, "value": None}


def write_rows(path: Path, rows: list[dict[str, object] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")
    return path


async def read(settings: Settings, topic: object = CLICKSTREAM) -> list[tuple[int, bytes, bytes]]:
    return [(r.partition, r.key, r.value) async for r in read_to_end(settings.kafka, topic)]  # type: ignore[arg-type]


async def test_every_event_arrives_once_keyed_by_user_and_in_each_users_order(shop: Settings, tmp_path: Path) -> None:
    rows = [view(f"u{n % 7}", f"i{n}", n) for n in range(5_000)]
    done = await Publisher(shop.kafka).publish(write_rows(tmp_path / "events.jsonl.gz", rows), Speed())
    assert (done.events, done.refused) == (5_000, {})
    found = defaultdict(list)
    for partition, key, value in await read(shop):
        assert partition == partition_of(key, shop.kafka.partitions)
        event = decode_event(value, key, (), 2_000_000_000_000)
        found[event.user_id].append(event.item_id)  # type: ignore[union-attr]
    assert {user: len(items) for user, items in found.items()} == {f"u{n}": 5_000 // 7 + (n < 2) for n in range(7)}
    assert all(items == sorted(items, key=lambda item: int(item[1:])) for items in found.values())


async def test_bad_rows_are_counted_and_named_and_the_rest_goes_on(shop: Settings, tmp_path: Path) -> None:
    rows = [view("u", "i1", 0), "{nonsense", view("", "i2", 1), view("", "i3", 2), view("u", "i4", 3)]
    done = await Publisher(shop.kafka).publish(write_rows(tmp_path / "rows.gz", rows), Speed())
    assert done.events == len(await read(shop)) == 2
    assert {reason: (refusal.rows, refusal.first_row) for reason, refusal in done.refused.items()} == {
        "not_json": (1, 2),
        "no_user": (2, 3),
    }


async def test_a_limit_a_rate_and_a_pace(shop: Settings, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "events.jsonl.gz", [view("u", "i", second) for second in range(40)])
    began = monotonic()
    assert (await Publisher(shop.kafka).publish(tmp_path, Speed(rate=50), limit=20)).events == 20
    assert 19 / 50 <= monotonic() - began < 10
    began = monotonic()
    done = await Publisher(shop.kafka).publish(path, Speed(pace=100))
    assert done.events == 40
    assert 39 / 100 <= monotonic() - began < 10


async def test_it_stops_when_it_is_told_to_and_says_what_it_did(shop: Settings, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "events.jsonl.gz", [view("u", "i", second) for second in range(100)])
    publisher = Publisher(shop.kafka, lambda _: publisher.stop())
    done = await asyncio.wait_for(publisher.publish(path, Speed(rate=5)), 20)
    assert 1 <= done.events < 5
    assert len(await read(shop)) == done.events


async def test_what_is_not_there_is_said(shop: Settings, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match=r"events\.jsonl\.gz"):
        await Publisher(shop.kafka).publish(tmp_path, Speed())


async def test_publishing_needs_the_topics(settings: Settings, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "events.jsonl.gz", [view("u", "i", 0)])
    with pytest.raises(TopicsRefused, match="daogou topics create"):
        await Publisher(settings.kafka).publish(path, Speed())
    with pytest.raises(TopicsRefused, match="daogou topics create"):
        await current_items(settings.kafka)


async def test_the_simulated_shop_goes_through_its_files(shop: Settings, tmp_path: Path) -> None:
    simulated = Shop.make(0)
    written = write_shop(tmp_path, simulated, 1, 10, 3)
    done: Published = await Publisher(shop.kafka).publish(tmp_path, Speed())
    assert (done.events, done.refused, done.untimed) == (written.events, {}, 0)
    imported = await import_items(shop.kafka, tmp_path)
    assert (imported.items, imported.refused, imported.from_events) == (len(simulated.items), 0, False)
    assert await current_items(shop.kafka) == {ItemId(item.item_id): item for item in simulated.items}


async def test_items_out_of_events_where_there_is_no_items_file(shop: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "events.jsonl.gz", [view("u", "b", 0), view("u", "a", 1), view("v", "b", 2)])
    imported = await import_items(shop.kafka, tmp_path)
    assert (imported.items, imported.from_events) == (2, True)
    assert set(await current_items(shop.kafka)) == {"a", "b"}


async def test_bad_items_are_counted(shop: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "items.jsonl.gz", [{"item_id": "a", "title": "A"}, {"title": "no id"}, "["])
    imported = await import_items(shop.kafka, tmp_path)
    assert (imported.items, imported.refused) == (1, 2)
    assert imported.first_refusal.startswith("row 2:")


async def test_items_are_put_changed_and_deleted(shop: Settings) -> None:
    await put_items(shop.kafka, [CatalogueItem(item_id="a", stock=1), CatalogueItem(item_id="b")])
    await put_items(shop.kafka, [CatalogueItem(item_id="a", stock=0)])
    await delete_items(shop.kafka, [ItemId("b"), ItemId("never there")])
    assert await current_items(shop.kafka) == {"a": CatalogueItem(item_id="a", stock=0)}
    assert len(await read(shop, CATALOGUE)) == 5


def slate(user: str, number: int) -> Slate:
    item = SlateItem(item_id=ItemId(f"i{number}"), score=1.0, source="trending", reason="why", propensity=1.0)
    trigger = Trigger(event_id=EventId("e"), topic="clickstream", partition=0, offset=number, time_ms=1)
    return Slate(
        recommendation_id=RecommendationId(f"r{number}"), user_id=UserId(user), surface="home", items=(item,),
        trigger=trigger, profile_version=1, bundle=None,
    )  # fmt: skip


async def publish_slates(settings: Settings, slates: list[tuple[str, Slate | None]]) -> None:
    producer = Producer(settings.kafka)
    await producer.start()
    topic = physical(settings.kafka, RECOMMENDATIONS)
    await producer.send([Outgoing(topic, user.encode(), encode_json(s) if s else None) for user, s in slates])
    await producer.stop()


async def test_a_shoppers_last_slate_is_found_however_far_back(shop: Settings) -> None:
    others = [("other", slate("other", number)) for number in range(3_000)]
    await publish_slates(shop, [("u", slate("u", 1)), ("u", slate("u", 2)), *others, ("gone", None)])
    assert await last_slate(shop, "u") == slate("u", 2)
    assert await last_slate(shop, "other") == slate("other", 2_999)
    assert await last_slate(shop, "gone") is None
    assert await last_slate(shop, "nobody") is None


async def test_slates_are_watched_as_they_come(shop: Settings) -> None:
    await publish_slates(shop, [("u", slate("u", 1))])
    watching = slates_as_they_come(shop, "u")
    first = asyncio.create_task(anext(watching))
    for number in range(2, 200):  # until the watcher stands at the end, what is sent is not its business
        await publish_slates(shop, [("other", slate("other", number)), ("u", slate("u", number))])
        done, _ = await asyncio.wait({first}, timeout=0.1)
        if done:
            break
    seen = await first
    assert seen.user_id == "u"
    assert seen.trigger.offset > 1
    await watching.aclose()


async def test_training_reads_from_the_topics_what_the_files_said(shop: Settings, tmp_path: Path) -> None:
    rows = [view(f"u{n % 7}", f"i{n}", n) for n in range(50)]
    events = write_rows(tmp_path / "events.jsonl.gz", rows)
    forget = Forget(event_id="f", user_id="u3", time_ms=1_500_000_100_000)
    await Publisher(shop.kafka).publish(events, Speed())
    await put_items(shop.kafka, [CatalogueItem(item_id="i1", title="a lamp")])
    producer = Producer(shop.kafka)
    await producer.start()
    topic = physical(shop.kafka, CLICKSTREAM)
    await producer.send([Outgoing(topic, b"u3", encode_json(forget)), Outgoing(topic, b"u3", b"{nonsense")])
    await producer.stop()
    saved = await save_log(shop, tmp_path / "log", lambda _: None)
    assert (saved.events, saved.items, saved.refused) == (51, 1, 1)
    log, filed = read_log(tmp_path / "log" / EVENTS, tmp_path / "log" / ITEMS), read_log(events, None)
    assert log.events == tuple(event for event in filed.events if event.user_id != "u3")
    assert {item.title for item in log.items} == {"a lamp", ""}
