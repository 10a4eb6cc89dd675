"""A slate computed here and now, by the engine that the workers run."""

import asyncio
from collections.abc import Sequence

from contracts.errors import Missing, Refused
from contracts.events import EventId, ItemId, UserId
from contracts.messages import Slate, Trigger
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, EMBEDDINGS, RULES
from inference.ask import Ask
from inference.engine import Engine
from inference.page import on_the_page
from launch.catalogue_files import current_items
from launch.topic_reader import read_to_end
from launch.wiring import build_engine
from streams.follower import take_vectors
from streams.names import partition_of, physical
from streams.rules import take_rule
from streams.shared import put_changes
from streams.store import ProfileKey, StatisticsStore, open_statistics, open_store


async def slate_now(settings: Settings, user: str, surface: str, items: Sequence[str] = ()) -> Slate:
    """A slate computed here, by the engine that the workers run, from the profile as it is in the store.

    It answers the shopper's last event again; it is not published. ``items``: what the page of the surface shows.
    Raises: Refused where there is no such shopper or surface.
    """
    partition = partition_of(user.encode(), settings.kafka.partitions)
    store = open_store(settings)
    try:
        profile = (await store.load([ProfileKey(partition, UserId(user))]))[0]
    finally:
        await store.close()
    if profile is None or profile.position is None:
        raise Refused(f"nothing is known of {user!r}: no event of theirs was applied")
    engine = await _informed_engine(settings)
    at = profile.position
    topic = physical(settings.kafka, CLICKSTREAM)
    trigger = Trigger(
        event_id=EventId(f"{topic}-{at.partition}-{at.offset}"), topic=topic, partition=at.partition,
        offset=at.offset, time_ms=profile.last_ms,
    )  # fmt: skip
    if (kind := engine.surfaces.get(surface)) is None:
        raise Missing(engine.surfaces.unknown(surface))
    profile = on_the_page(profile, kind, [ItemId(item) for item in items], profile.last_ms)
    return engine.recommend([Ask(profile, trigger, surface)])[0]


async def _informed_engine(settings: Settings) -> Engine:
    """An engine that knows what a worker knows: the catalogue, its vectors, the rules, what all shoppers taught."""
    engine = await asyncio.to_thread(build_engine, settings, Metrics())
    for _, item in sorted((await current_items(settings.kafka)).items()):  # ties go by row: always the same ones
        engine.upsert(item)
    async for record in read_to_end(settings.kafka, EMBEDDINGS):
        take_vectors(engine, [record])
    async for record in read_to_end(settings.kafka, RULES):
        take_rule(engine.rules, record)
    statistics = open_statistics(settings)
    try:
        await _learn_all(engine, statistics)
    finally:
        await statistics.close()
    return engine


async def _learn_all(engine: Engine, statistics: StatisticsStore) -> None:
    cursor, complete = None, False
    while not complete:
        page = await statistics.changes(cursor)
        put_changes(engine, page)
        cursor, complete = page.cursor, page.complete
