"""Slates for people: as they come, the last one of a shopper, and how one is shown."""

from collections.abc import AsyncIterator

from rich.table import Table

from contracts.codec import decode_slate
from contracts.events import ItemId
from contracts.messages import CatalogueItem, Slate
from contracts.settings import Settings
from contracts.topics import RECOMMENDATIONS
from launch.topic_reader import consumer_of, last_of_key, records_from, stand_at_end

HOUR_MS = 3_600_000

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
    after_ms = slate.made_ms - slate.trigger.time_ms
    took = f", {after_ms:,} ms after the event" if 0 <= after_ms < HOUR_MS else ""
    bundle = slate.bundle[:12] if slate.bundle else "none"
    return f"answers {slate.trigger.event_id}{took}, bundle {bundle}, id {slate.recommendation_id[:12]}{degraded}"
