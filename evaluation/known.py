"""What a model may be trained on so that it has not seen what an evaluation asks, as a log and as files."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from contracts.dialects.dataset import item_to_row
from contracts.events import AnyEvent, Checkout, Impression, ItemId, Purchase, Refund, items_of
from training.log import Log, with_events
from training.visits import in_last_visits


def without_last_visits(log: Log) -> Log:
    """Without each shopper's last visit, and what they did after it. Its items stay known."""
    held = in_last_visits(log.events, 1)
    kept = (event for event, is_held in zip(log.events, held.tolist(), strict=True) if not is_held)
    return with_events(log, kept, "last visits")


def without_items(log: Log, items: tuple[str, ...], out: NDArray[np.bool_]) -> Log:
    """Without the items that are ``out`` [items] and all that was done with them."""
    gone = {ItemId(item) for item, is_out in zip(items, out, strict=True) if is_out}
    events = (left for event in log.events if (left := _without(event, gone)) is not None)
    kept = tuple(item for item in log.items if item.item_id not in gone)
    return replace(with_events(log, events, f"without {sorted(gone)}"), items=kept)


def _without(event: AnyEvent, gone: set[ItemId]) -> AnyEvent | None:
    """The event without those items; None where it is about nothing else."""
    named = items_of(event)
    if gone.isdisjoint(named):
        return event
    if gone.issuperset(named):
        return None
    if isinstance(event, Impression):
        return replace(event, items=tuple(item for item in event.items if item not in gone))
    if isinstance(event, Checkout | Purchase | Refund):
        return replace(event, lines=tuple(line for line in event.lines if line.item_id not in gone))
    return None


def write_log(log: Log, to: Path) -> None:
    """As ``events.jsonl.gz`` and ``items.jsonl.gz``, for ``daogou train``; the same log gives the same bytes."""
    to.mkdir(parents=True, exist_ok=True)
    _write(to / "events.jsonl.gz", map(msgspec.json.encode, log.events))
    _write(to / "items.jsonl.gz", map(item_to_row, log.items))


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.writelines(line + b"\n" for line in lines)
