"""A slate computed for a person, from what the topics and the store have."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from contracts.codec import encode_embedding
from contracts.errors import Refused
from contracts.events import Kind, UserId
from contracts.messages import CatalogueItem
from contracts.metrics import Metrics
from contracts.profile import History, Position, Profile
from contracts.settings import Settings
from contracts.topics import EMBEDDINGS
from launch.catalogue_files import put_items
from launch.slate_now import slate_now
from launch.wiring import build_engine
from streams.names import partition_of, physical
from streams.producer import Outgoing, Producer
from streams.store import ProfileKey, Write, open_store
from tests.tiny_bundle import tiny_bundle

NOW_MS = 1_700_000_000_000
ITEMS = [CatalogueItem(item_id=f"i{n}", title=f"Boot {n}", category=("Shoes", "Boots"), stock=3) for n in range(20)]


async def publish_vectors(settings: Settings) -> None:
    engine, producer = build_engine(settings, Metrics()), Producer(settings.kafka)
    vectors = engine.embed(ITEMS)
    topic = physical(settings.kafka, EMBEDDINGS)
    await producer.start()
    await producer.send([Outgoing(topic, v.item_id.encode(), encode_embedding(v)) for v in vectors])
    await producer.stop()


async def save(settings: Settings, profile: Profile) -> None:
    store = open_store(settings)
    place = partition_of(profile.user_id.encode(), settings.kafka.partitions)
    assert await store.save([Write(ProfileKey(place, profile.user_id), profile, 0)]) == [True]
    await store.close()


async def test_it_answers_with_what_the_workers_know(shop: Settings, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    settings = shop.model_copy(update={"model": shop.model.model_copy(update={"bundle": bundle.folder})})
    await put_items(settings.kafka, ITEMS)
    await publish_vectors(settings)
    seen = History(items=("i1",), kinds=(int(Kind.VIEW),), times_ms=(NOW_MS,))  # type: ignore[arg-type]
    profile = Profile(UserId("u"), version=1, position=Position("e", 0, 7), history=seen, last_ms=NOW_MS)
    await save(settings, profile)
    slate = await slate_now(settings, "u", "home")
    assert (slate.bundle, slate.degraded, slate.profile_version) == (bundle.digest, None, 1)
    assert slate.trigger.offset == 7
    assert slate.items
    assert "i1" not in {item.item_id for item in slate.items}
    again = await slate_now(settings, "u", "home")
    assert replace(again, stages=()) == replace(slate, stages=())


async def test_nobody_has_no_slate(shop: Settings) -> None:
    with pytest.raises(Refused, match="nothing is known of 'nobody'"):
        await slate_now(shop, "nobody", "home")
