"""Labelled texts from files of rows, and the parts they are split into: to learn from, to choose on, to measure on."""

import gzip
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from contracts.errors import Reason, Unacceptable, Unreadable

LEARN, CHOOSE = 0.8, 0.9  # the shares of time, or of hashes, at which the parts end

Timed = TypeVar("Timed")


class Labelled(NamedTuple):
    """A text, its label, and when it was written (Unix seconds; None where nobody says)."""

    text: str
    label: str
    time: float | None = None


class Columns(NamedTuple):
    """Which columns of a row are read. ``stars``: the label is a rating: 4, 5 are 1; 1, 2 are 0; 3 is left out."""

    text: str = "text"
    label: str = "label"
    time: str = "timestamp"
    stars: bool = False


class Parts(NamedTuple):
    """Learned from, chosen on, measured on; and how they were told apart."""

    learn: list[Labelled]
    choose: list[Labelled]
    test: list[Labelled]
    by: str


def read_labelled(paths: Sequence[Path], columns: Columns) -> list[Labelled]:
    """JSONL rows, gzip or not. Each text stands once, as it came first; rows without a text or a label are left out.

    Raises:
        Unreadable: naming file and line, or where nothing is labelled at all.
        Unacceptable: stars that all become one class.
    """
    found: dict[str, Labelled] = {}
    for row in (row for path in paths for row in _rows(path, columns)):
        found.setdefault(row.text, row)
    if not found:
        raise Unreadable(Reason.EMPTY, f"no row has both columns, {columns.text!r} and {columns.label!r}")
    if columns.stars:
        _check_stars(columns.label, {row.label for row in found.values()}, len(found))
    return list(found.values())


def _check_stars(column: str, classes: set[str], rows: int) -> None:
    if len(classes) == 1:
        raise Unacceptable(
            Reason.NOT_APPLICABLE,
            f"with --stars all {rows} labelled texts are of one class, {classes.pop()!r}: 4, 5 are 1; 1, 2 are 0. "
            f"Where {column!r} has classes already, leave --stars out",
        )


def split_labelled(rows: Sequence[Labelled]) -> Parts:
    """By time, where every row has one: the last tenth is measured on. Else by a hash of the text alone.

    Either way a text is in one part only: each stands once.

    Raises: Unacceptable, where a part has nothing, or one class alone is learned from.
    """
    timed = [row for row in rows if row.time is not None]
    parts = by_time(timed, [row.time or 0.0 for row in timed]) if len(timed) == len(rows) else _by_hash(rows)
    by = "time" if len(timed) == len(rows) else "a hash of the text"
    if not all(parts):
        raise Unacceptable(Reason.EMPTY, f"{len(rows)} labelled texts are too few to learn from and to measure on")
    classes = {row.label for row in parts[0]}
    if len(classes) < 2:
        said = f"all {len(parts[0])} texts to learn from, split by {by}, are of one class, {classes.pop()!r}"
        raise Unacceptable(Reason.NOT_APPLICABLE, f"{said}: there is nothing to tell apart")
    return Parts(*parts, by)


def by_time(rows: Sequence[Timed], times: Sequence[float]) -> tuple[list[Timed], list[Timed], list[Timed]]:
    """The first 8 tenths, the next, the last; what has the same time is in the same part."""
    order = sorted(range(len(rows)), key=times.__getitem__)
    ordered = [times[i] for i in order]
    first, last = (bisect_left(ordered, ordered[int(share * len(order))]) if order else 0 for share in (LEARN, CHOOSE))
    parts = (order[:first], order[first:last], order[last:])
    learn, choose, test = ([rows[i] for i in part] for part in parts)
    return learn, choose, test


def _by_hash(rows: Iterable[Labelled]) -> tuple[list[Labelled], list[Labelled], list[Labelled]]:
    parts: tuple[list[Labelled], list[Labelled], list[Labelled]] = ([], [], [])
    for row in rows:
        place = int.from_bytes(sha256(row.text.encode()).digest()[:8], "big") / 2**64
        parts[(place >= LEARN) + (place >= CHOOSE)].append(row)
    return parts


def _rows(path: Path, columns: Columns) -> Iterator[Labelled]:
    for where, line in lines_of(path):
        try:
            row = _row(msgspec.json.decode(line, type=dict[str, Any]), columns)
        except (msgspec.DecodeError, ValueError) as error:
            raise Unreadable(Reason.NOT_JSON, f"{where}: no row of a labelled text: {error}") from error
        if row:
            yield row


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """Where a line stands, and the line; gzip where the name ends in ``.gz``. Raises: Unreadable."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}, line {number}", line
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path} cannot be read as rows: {error}") from error


def _row(row: dict[str, Any], columns: Columns) -> Labelled | None:
    text, given, time = str(row.get(columns.text) or "").strip(), row.get(columns.label), row.get(columns.time)
    label = "" if given is None else of_stars(float(given)) if columns.stars else str(given).strip()
    return Labelled(text, label, None if time is None else float(time)) if text and label else None


def of_stars(stars: float) -> str:
    """1 for those who liked it, 0 for those who did not, nothing for those between."""
    return "1" if stars >= 4 else "0" if stars <= 2 else ""
