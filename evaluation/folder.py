"""The files of a data set: a folder's events and, if there are any, its items; or an events file of any name."""

from pathlib import Path
from typing import NamedTuple

from contracts.errors import Missing

EVENTS = ("events.jsonl.gz", "events.jsonl")


class Files(NamedTuple):
    """Where they lie, and what the set is called."""

    name: str
    events: Path
    items: Path | None


def files_of(path: Path) -> Files:
    """Raises: Missing, where there is no such folder, or no events in it."""
    if not path.exists():
        raise Missing(f"{path}: no such folder")
    events = next((each for each in (path, *(path / name for name in EVENTS)) if each.is_file()), None)
    if events is None:
        raise Missing(f"{path} has no {' or '.join(EVENTS)}")
    items = events.with_name(events.name.replace("events", "items", 1))
    return Files(path.name, events, items if items != events and items.is_file() else None)
