"""Slates for people: the last one of a shopper, one computed now, and how one is shown."""

import asyncio
from collections.abc import AsyncIterator

from rich.table import Table

from contracts.codec import decode_embedding, decode_slate
from contracts.errors import BadInput, Refused
from contracts.events import EventId, ItemId, UserId
from contracts.messages import CatalogueItem, Slate, Trigger
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, EMBEDDINGS, RECOMMENDATIONS
from inference.ask import Ask
from inference.engine import Engine
from launch.catalogue_files import current_items
from launch.publish import partition_of
from launch.topic_reader import consumer_of, last_of_key, read_to_end, records_from, stand_at_end
from launch.wiring import build_engine
from streams.names import physical
from streams.store import ProfileKey, StatisticsStore, open_statistics, open_store

Items = dict[ItemId, CatalogueItem]


async def slates_as_they_come(settings: Settings, user: str = "") -> AsyncIterator[Slate]:
    """Every slate from now on, or one shopper's. Raises: BrokerUnavailable, TopicsRefused."""
    async with consumer_of(settings.kafka) as consumer:
        await stand_at_end(consumer, settings.kafka, RECOMMENDATIONS)
        async for record in records_from(consumer):
            if record.value is not None and (not user or record.key == user.encode()):
                yield decode_slate(record.value)


async def last_slate(settings: Settings, user: str) -> Slate | None:
    """The last slate that was published for a shopper; None where there is none, or the shopper is forgotten."""
    record = await last_of_key(settings.kafka, RECOMMENDATIONS, user.encode())
    return None if record is None or record.value is None else decode_slate(record.value)


async def slate_now(settings: Settings, user: str, surface: str) -> Slate:
    """A slate computed here, by the engine that the workers run, from the profile as it is in the store.

    It answers the shopper's last event again; it is not published. Raises: Refused where there is no such shopper.
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
    return engine.recommend([Ask(profile, trigger, surface)])[0]


async def _informed_engine(settings: Settings) -> Engine:
    """An engine that knows what a worker knows: the catalogue, its vectors, what all shoppers taught."""
    engine = await asyncio.to_thread(build_engine, settings, Metrics())
    for item in (await current_items(settings.kafka)).values():
        engine.upsert(item)
    async for record in read_to_end(settings.kafka, EMBEDDINGS):
        if record.value is not None:
            try:
                engine.set_embedding(decode_embedding(record.value))
            except BadInput:
                continue  # not ours; a worker embeds the item again
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
        for row in page.followers:
            engine.statistics.put_followers(row.item, row.followers)
        engine.statistics.put_trend(page.trend, page.latest_ms)
        cursor, complete = page.cursor, page.complete


def show(slate: Slate, items: Items) -> Table:
    """A slate for people: what, how sure, and why."""
    table = Table(title=f"{slate.user_id}, {slate.surface}", title_justify="left", caption=_receipt(slate))
    for column in ("", "item", "score", "why"):
        table.add_column(column, justify="right" if column in ("", "score") else "left")
    for place, slot in enumerate(slate.items, start=1):
        item = items.get(slot.item_id)
        name = item.title if item and item.title else slot.item_id
        table.add_row(str(place), name, f"{slot.score:.3f}", f"{slot.reason} [dim]({slot.source})[/dim]")
    return table


def _receipt(slate: Slate) -> str:
    degraded = f", degraded: {slate.degraded}" if slate.degraded else ""
    took = f", {slate.made_ms - slate.trigger.time_ms:,} ms after the event" if slate.made_ms else ""
    bundle = slate.bundle[:12] if slate.bundle else "none"
    return f"answers {slate.trigger.event_id}{took}, bundle {bundle}, id {slate.recommendation_id[:12]}{degraded}"
