"""A log on disk: how little of it is in memory, what is shared, and a disk that is full."""

import json
import tracemalloc
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pytest
from tiny_shop import view

from contracts.errors import EnvironmentRefused
from training import stored_events
from training.cross_fit import CrossFit
from training.lists import Lists
from training.log import Log, read_log
from training.replay import Replay
from training.stored_events import StoredEvents, kinds_of, stored
from training.train import table_of

SHOPPERS, ITEMS = 10, 30
FEW, MANY = 1_100, 8_800  # events; with fewer, profiles (100 events each) and blocks are not full yet
#: Bytes of an event. 17 stay (where it is, how long, whose, which kind); sorting by time or shopper takes more such.
STAYS, READING, THROUGH = 20, 80, 60


class Taken(NamedTuple):
    """Bytes: what stays in memory, and the most that was taken meanwhile."""

    stays: int
    most: int


def write(path: Path, count: int) -> Path:
    """The same shoppers and items, however long the log is."""
    with path.open("w") as file:
        for number in range(count):
            who, what = number % SHOPPERS, number * 7 % ITEMS
            kind = "click" if number % 3 else "add_to_cart"
            row = {"user_id": f"u{who}", "item_id": f"i{what}", "event_type": kind, "timestamp": 1_700_000_000 + number}
            file.write(f"{json.dumps(row)}\n")
    return path


def go_through(log: Log) -> None:
    """What training does with the whole log, both ways, but that hardly anybody is asked: examples go to disk."""
    lists = Lists(table_of(log.items, np.eye(ITEMS, 4, dtype=np.float32)), 9, 10, 4, 0)
    for _ in Replay(lists, {}).run(log.events):
        pass
    for _ in CrossFit(lists, log.events, 0.5, 0, one_in=SHOPPERS).run():
        pass


def taken_by(path: Path) -> tuple[Taken, Taken]:
    """By reading a log, and by going through it."""
    tracemalloc.start()
    try:
        log = read_log(path, None)
        read = Taken(*tracemalloc.get_traced_memory())
        tracemalloc.reset_peak()
        go_through(log)
        return read, Taken(*tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    taken_by(write(tmp_path / "first", FEW))  # what is loaded once and for all
    few, many = (taken_by(write(tmp_path / str(count), count)) for count in (FEW, MANY))
    more = MANY - FEW
    assert many[0].stays - few[0].stays < STAYS * more
    assert many[0].most - few[0].most < READING * more
    assert many[1].most - few[1].most < THROUGH * more


def test_ids_that_come_again_are_kept_once() -> None:
    one, other = stored([view(1), view(1)])
    assert one.item_id is other.item_id
    assert one.user_id is other.user_id


def test_nothing_stored_is_nothing() -> None:
    empty = stored([])
    assert (len(empty), list(empty), empty == (), kinds_of(empty).tolist()) == (0, [], True, [])
    with pytest.raises(IndexError):
        empty[0]


def test_a_part_is_a_view_and_not_hashable() -> None:
    events = stored([view(number) for number in range(4)])
    part = events[1:3]
    assert isinstance(part, StoredEvents)
    assert np.shares_memory(part.columns.starts, events.columns.starts)
    assert part == events[1:3] != events
    assert events != 4
    with pytest.raises(TypeError, match="unhashable"):
        hash(events)


def test_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    events = stored([view(1)])
    assert (list(tmp_path.iterdir()), len(events)) == ([], 1)


def full_disk(prefix: str) -> IO[bytes]:
    return Path("/dev/full").open("w+b")


def test_a_full_disk_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_events, "TemporaryFile", full_disk)
    with pytest.raises(EnvironmentRefused, match=r"the disk is full: .* another folder in TMPDIR"):
        stored([view(number) for number in range(1000)])
