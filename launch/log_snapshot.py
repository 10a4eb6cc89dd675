"""The clickstream and the catalogue as the topics have them now, as the two files that training reads."""

import gzip
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from contracts.codec import decode_event, encode_json
from contracts.errors import BadInput
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM
from contracts.whole_folder import Mark, replaced
from launch.catalogue_files import current_items
from launch.topic_reader import read_to_end

EVENTS, ITEMS = "events.jsonl.gz", "items.jsonl.gz"
TOLD_EVERY = 1_000
SNAPSHOT = Mark(EVENTS)


class Snapshot(Struct, kw_only=True):
    """What was written. ``refused``: records that are no events; the workers dead-lettered them."""

    events: int = 0
    items: int = 0
    refused: int = 0


async def save_log(settings: Settings, folder: Path, read: Callable[[int], None]) -> Snapshot:
    """Write both topics into ``folder``, whole or not at all. ``read`` hears how many records were read.

    An event has the time that the loop gave it. Raises: BrokerUnavailable, TopicsRefused, EnvironmentRefused.
    """
    saved = Snapshot()
    with replaced(folder, SNAPSHOT) as part:
        await _save_events(settings, part / EVENTS, saved, read)
        await _save_items(settings, part / ITEMS, saved)
    return saved


async def _save_events(settings: Settings, path: Path, saved: Snapshot, read: Callable[[int], None]) -> None:
    with gzip.open(path, "wb", compresslevel=3) as events:
        async for record in read_to_end(settings.kafka, CLICKSTREAM):
            try:
                event = decode_event(record.value, record.key, record.headers, record.timestamp)
            except BadInput:
                saved.refused += 1
            else:
                events.write(encode_json(event) + b"\n")
                saved.events += 1
            if not (saved.events + saved.refused) % TOLD_EVERY:
                read(saved.events + saved.refused)


async def _save_items(settings: Settings, path: Path, saved: Snapshot) -> None:
    with gzip.open(path, "wb", compresslevel=3) as items:
        for item in (await current_items(settings.kafka)).values():
            items.write(encode_json(item) + b"\n")
            saved.items += 1
