"""The simulated shop as files, in the form of public data sets (``contracts/dialects/dataset.py``)."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from contracts.dialects.dataset import event_to_row, item_to_row
from launch.shop.history import history
from launch.shop.shop import Shop

EVENTS = "events.jsonl.gz"
ITEMS = "items.jsonl.gz"


class Written(NamedTuple):
    """How much was written."""

    events: int
    items: int


def write_shop(folder: Path, shop: Shop, seed: int, shoppers: int, days: float) -> Written:
    """Write the items and a history of the shop. The same arguments make the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    events = _write(folder / EVENTS, map(event_to_row, history(shop, seed, shoppers, days)))
    return Written(events=events, items=_write(folder / ITEMS, map(item_to_row, shop.items)))


def _write(path: Path, rows: Iterable[bytes]) -> int:
    lines = [row + b"\n" for row in rows]
    # no name and no time in the header: the bytes are a function of the rows alone
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        file.writelines(lines)
    return len(lines)
