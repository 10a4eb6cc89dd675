"""The catalogue by hand: items out of files onto the topic, single items put and taken out, what is there now."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from msgspec import Struct

from contracts.codec import decode_item, encode_json
from contracts.dialects.dataset import row_to_item
from contracts.errors import BadInput, EnvironmentRefused
from contracts.events import ItemId, items_of
from contracts.messages import CatalogueItem
from contracts.settings import KafkaSettings
from contracts.topics import CATALOGUE
from launch.producing import producing
from launch.publish import Published, events_of, find_events, find_file, lines_of
from launch.topic_reader import read_to_end
from streams.names import physical
from streams.producer import Outgoing

CHUNK = 2_000
ITEM_FILES = ("items.jsonl.gz", "items.jsonl")


class Imported(Struct, kw_only=True):
    """What was imported. ``from_events``: the set has no items file, the ids in its events were taken."""

    items: int = 0
    refused: int = 0
    first_refusal: str = ""
    from_events: bool = False


def read_items(path: Path, imported: Imported) -> Iterator[CatalogueItem]:
    """The items of a file or folder. Where a folder has events alone: its ids, without words. Bad rows are counted."""
    try:
        rows = lines_of(find_file(path, ITEM_FILES))
    except EnvironmentRefused:
        imported.from_events = True
        yield from _items_in_events(find_events(path))
        return
    for number, row in enumerate(rows, start=1):
        try:
            yield row_to_item(row)
        except BadInput as error:
            imported.refused += 1
            imported.first_refusal = imported.first_refusal or f"row {number}: {error}"


def _items_in_events(path: Path) -> Iterator[CatalogueItem]:
    known: set[ItemId] = set()
    for event in events_of(path, None, Published()):
        for item in items_of(event):
            if item not in known:
                known.add(item)
                yield CatalogueItem(item_id=item)


async def import_items(settings: KafkaSettings, path: Path) -> Imported:
    """Upsert every item of a file or folder. Raises: BrokerUnavailable, EnvironmentRefused."""
    imported = Imported()
    imported.items = await put_items(settings, read_items(path, imported))
    return imported


async def put_items(settings: KafkaSettings, items: Iterable[CatalogueItem]) -> int:
    """Upsert items, acknowledged; returns how many."""
    count, topic = 0, physical(settings, CATALOGUE)
    records = (Outgoing(topic, item.item_id.encode(), encode_json(item)) for item in items)
    async with producing(settings) as producer:
        while chunk := list(islice(records, CHUNK)):
            await producer.send(chunk)
            count += len(chunk)
    return count


async def delete_items(settings: KafkaSettings, items: Iterable[ItemId]) -> None:
    """Take items out, acknowledged. Unknown ones are fine."""
    topic = physical(settings, CATALOGUE)
    async with producing(settings) as producer:
        await producer.send([Outgoing(topic, item.encode(), None) for item in items])


async def current_items(settings: KafkaSettings) -> dict[ItemId, CatalogueItem]:
    """The catalogue as the topic has it now."""
    items: dict[ItemId, CatalogueItem] = {}
    async for record in read_to_end(settings, CATALOGUE):
        item_id = ItemId((record.key or b"").decode(errors="replace"))
        items.pop(item_id, None)
        if record.value is not None:
            try:
                items[item_id] = decode_item(record.value)
            except BadInput:
                continue  # the workers dead-letter it
    return items
