"""Events and items files -> what training reads: events in the order of time, items, and a digest of both."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import file_digest, sha256
from pathlib import Path

from msgspec import Struct

from contracts.dialects.dataset import row_to_event, row_to_item, untimed
from contracts.errors import BadInput, Reason, Unreadable
from contracts.events import AnyEvent, items_of
from contracts.messages import CatalogueItem
from contracts.protocol import Protocol
from training.permitted import permitted


class Log(Struct, frozen=True, kw_only=True):
    """A whole log. ``refused`` counts the rows that are no events, by reason."""

    events: tuple[AnyEvent, ...]
    items: tuple[CatalogueItem, ...]
    digest: str
    refused: dict[str, int]

    @property
    def protocol(self) -> Protocol:
        """By the order of time, if the log has times."""
        return Protocol.LEAVE_ONE_OUT if any(map(untimed, self.events)) else Protocol.TIME

    @property
    def shoppers(self) -> int:
        """How many shoppers did something."""
        return len({event.user_id for event in self.events})


def read_log(events: Path, items: Path | None, hold_back: int = 0, until: float = 1.0) -> Log:
    """Read both files (JSONL, gzip or not). Items that only occur in events become items without words.

    Events with equal times keep the order of the file. What a shopper took back (``Forget``, ``Consent``) is left out.
    ``hold_back``: each shopper's last so many events are left out, for an evaluation that asks for them; their items
    stay known. ``until``: only this first share of the events is read, in the order of time, for an evaluation of what
    comes after; items that only occur later are not known.

    Raises: Unreadable, where a file is missing or holds nothing.
    """
    refused: Counter[str] = Counter()
    found = list(permitted(sorted(_events(events, refused), key=lambda event: event.time_ms)))
    if not found:
        raise Unreadable(Reason.EMPTY, f"{events} has no events (refused: {dict(refused) or 'none'})")
    found = found[: max(1, round(len(found) * until))]
    described = {item.item_id: item for item in _items(items, refused)} if items else {}
    for item in {i for event in found for i in items_of(event)}:
        described.setdefault(item, CatalogueItem(item_id=item))
    ordered = tuple(described[item] for item in sorted(described))
    kept = _without_last(found, hold_back) if hold_back else found
    left_out = "".join([f"hold back {hold_back}" if hold_back else "", f"until {until}" if until < 1.0 else ""])
    return Log(
        events=tuple(kept), items=ordered, digest=_digest(events, items, left_out=left_out), refused=dict(refused)
    )


def _without_last(events: Sequence[AnyEvent], count: int) -> list[AnyEvent]:
    left = Counter(event.user_id for event in events)
    kept: list[AnyEvent] = []
    for event in events:
        left[event.user_id] -= 1
        if left[event.user_id] >= count:
            kept.append(event)
    return kept


def _events(path: Path, refused: Counter[str]) -> Iterator[AnyEvent]:
    for number, row in enumerate(_lines(path)):
        try:
            yield row_to_event(row, number)
        except BadInput as error:
            refused[error.reason.value] += 1


def _items(path: Path, refused: Counter[str]) -> Iterator[CatalogueItem]:
    for row in _lines(path):
        try:
            yield row_to_item(row)
        except BadInput as error:
            refused[f"item {error.reason.value}"] += 1


def _lines(path: Path) -> Iterable[bytes]:
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as lines:
            yield from (line for line in lines if line.strip())
    except OSError as error:
        raise Unreadable(Reason.EMPTY, f"{path} cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise Unreadable(Reason.EMPTY, f"{path} is broken or cut short: {error}; bring it here again") from error


def _digest(*paths: Path | None, left_out: str) -> str:
    """sha256 over the sha256 of each file's bytes, and over what was left out, if anything was."""
    whole = sha256(left_out.encode())
    for path in paths:
        if path is not None:
            with path.open("rb") as file:
                whole.update(file_digest(file, "sha256").digest())
    return whole.hexdigest()
