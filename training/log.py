"""Events and items files -> what training reads: events in the order of time, items, and a digest of both."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from contracts.dialects.dataset import row_to_event, row_to_item, untimed
from contracts.errors import BadInput, Reason, Unreadable
from contracts.events import AnyEvent, ItemId, items_of
from contracts.messages import CatalogueItem
from contracts.protocol import Protocol
from training.permitted import are_permitted
from training.stored_events import shoppers_of, stored
from training.visits import in_last_visits


class Refused(Struct):
    """Rows of one reason: how many, and what was wrong with the first one, in words."""

    rows: int
    first: str


class Log(Struct, frozen=True, kw_only=True):
    """A whole log. ``refused``: the rows that are no events or items, by reason.

    ``shoppers``: how many did something. ``met``: the items of all events. ``untimed``: some event has no time.
    """

    events: Sequence[AnyEvent]
    items: tuple[CatalogueItem, ...]
    digest: str
    refused: dict[str, Refused]
    shoppers: int
    met: Set[ItemId]
    untimed: bool

    @property
    def refusals(self) -> tuple[str, ...]:
        """A line for people about the rows of each reason."""
        found = self.refused.items()
        return tuple(f"refused {each.rows:,} rows: {reason}; the first, {each.first}" for reason, each in found)

    @property
    def protocol(self) -> Protocol:
        """By the order of time, if the log has times."""
        return Protocol.LEAVE_ONE_OUT if self.untimed else Protocol.TIME


def read_log(events: Path, items: Path | None, hold_back: int = 0, until: float = 1.0) -> Log:
    """Read both files (JSONL, gzip or not). Items that only occur in events become items without words.

    Events with equal times keep the order of the file; they lie on disk. What a shopper took back (``Forget``,
    ``Consent``) is left out. ``hold_back``: each shopper's last so many visits are left out, with what they did after
    the first of those, for an evaluation that asks for them; their items stay known. ``until``: only this first share
    of the events is read, in the order of time, for an evaluation of what comes after; items that only occur later are
    not known.

    Raises: Unreadable, where a file is missing or holds nothing; EnvironmentRefused, where the disk is full.
    """
    refused: dict[str, Refused] = {}
    found = stored(_events(events, refused))
    found = found.take(are_permitted(found))
    if not found:
        raise Unreadable(Reason.EMPTY, f"{events} has no events{_in_words(refused)}")
    found = found[: max(1, round(len(found) * until))]
    held = in_last_visits(found, hold_back)
    kept = found.take(~held)
    met, made_up = _met(kept)
    known = met | _met(found.take(held))[0]
    return Log(
        events=kept, items=_catalogue(known, _items(items, refused) if items else ()), refused=refused,
        digest=digest_of(content_of(events, items), hold_back, until), shoppers=len(np.unique(shoppers_of(kept))),
        met=met, untimed=made_up,
    )  # fmt: skip


def with_events(log: Log, events: Iterable[AnyEvent], left_out: str) -> Log:
    """The log with those events alone, and all that is said of them; its digest has in words what was ``left_out``."""
    kept = stored(events)
    met, made_up = _met(kept)
    return replace(
        log, events=kept, digest=sha256(f"{log.digest} {left_out}".encode()).hexdigest(),
        shoppers=len(np.unique(shoppers_of(kept))), met=met, untimed=made_up,
    )  # fmt: skip


def _met(events: Iterable[AnyEvent]) -> tuple[set[ItemId], bool]:
    """Their items, and whether the time of any of them was made up: all that is asked of the whole log, read once."""
    met, made_up = set[ItemId](), False
    for event in events:
        met.update(items_of(event))
        made_up = made_up or untimed(event)
    return met, made_up


def _catalogue(known: Set[ItemId], described: Iterable[CatalogueItem]) -> tuple[CatalogueItem, ...]:
    """The items that are described, and those that only occur, sorted by id."""
    found = {item.item_id: item for item in described}
    for item in known:
        found.setdefault(item, CatalogueItem(item_id=item))
    return tuple(found[item] for item in sorted(found))


def _in_words(refused: Mapping[str, Refused]) -> str:
    counts = {reason: each.rows for reason, each in refused.items()}
    first = next((f"; the first, {each.first}" for each in refused.values()), "")
    return f" (refused: {counts or 'none'}){first}"


def _count(refused: dict[str, Refused], reason: str, number: int, error: BadInput) -> None:
    refused.setdefault(reason, Refused(0, f"line {number + 1}: {error}")).rows += 1


def _events(path: Path, refused: dict[str, Refused]) -> Iterator[AnyEvent]:
    for number, row in enumerate(_lines(path)):
        try:
            yield row_to_event(row, number)
        except BadInput as error:
            _count(refused, error.reason.value, number, error)


def _items(path: Path, refused: dict[str, Refused]) -> Iterator[CatalogueItem]:
    for number, row in enumerate(_lines(path)):
        try:
            yield row_to_item(row)
        except BadInput as error:
            _count(refused, f"item {error.reason.value}", number, error)


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


def content_of(*paths: Path | None) -> bytes:
    """The sha256 of each file's bytes, one after the other."""
    digests = []
    for path in paths:
        if path is not None:
            with path.open("rb") as file:
                digests.append(file_digest(file, "sha256").digest())
    return b"".join(digests)


def digest_of(content: bytes, hold_back: int, until: float) -> str:
    """sha256 over what was left out, in words, if anything was, and over ``content_of`` the files."""
    words = (f"hold back {hold_back} visits" if hold_back else "") + (f"until {until}" if until < 1.0 else "")
    return sha256(words.encode() + content).hexdigest()
