"""A folder in the form of the public sets as item sequences, and the leave-one-out split of them.

``events.jsonl.gz``: one interaction a line (``user_id``, ``item_id``, ``timestamp`` or ``seq``). ``items.jsonl.gz``
(optional): ``title``, ``category``, ``brand``, ``attributes``. Unknown columns are ignored.
"""

import gzip
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from scipy import sparse

from contracts.errors import Reason, Unacceptable, Unreadable

Sequence = NDArray[np.int32]
S = TypeVar("S", bound=Struct)


class EventRow(Struct, frozen=True):
    """One line of the events file."""

    user_id: str
    item_id: Annotated[str, Meta(min_length=1)]
    event_type: str = "view"
    timestamp: float | None = None
    seq: int | None = None


class ItemRow(Struct, frozen=True):
    """One line of the items file."""

    item_id: str
    title: str = ""
    category: str = ""
    brand: str = ""
    attributes: tuple[int, ...] = ()


class Log(NamedTuple):
    """Item sequences by shopper, in order of time; items are numbers into ``items``.

    ``times``: of each event of ``sequences``, Unix seconds, 0 where it has none. ``event_type``: the commonest.
    """

    name: str
    items: tuple[str, ...]
    sequences: tuple[Sequence, ...]
    rows: tuple[ItemRow | None, ...]
    times: tuple[NDArray[np.float64], ...] = ()
    event_type: str = "view"


class Split(NamedTuple):
    """Leave-one-out: the last item is the test, the last but one the validation, the rest is the past.

    Shoppers with fewer than three events are left out of it, as the published protocol does.
    """

    pasts: tuple[Sequence, ...]
    validation: Sequence
    test: Sequence


def read(folder: Path) -> Log:
    """Read a folder. Raises: Unreadable, naming the line that cannot be read."""
    by_user: defaultdict[str, list[tuple[float, int, int]]] = defaultdict(list)
    numbers: dict[str, int] = {}
    kinds: Counter[str] = Counter()
    for line, row in enumerate(_rows(folder / "events.jsonl.gz", EventRow)):
        if row.user_id:
            item = numbers.setdefault(row.item_id, len(numbers))
            kinds[row.event_type] += 1
            by_user[row.user_id].append((row.timestamp or 0.0, row.seq if row.seq is not None else line, item))
    described = folder / "items.jsonl.gz"
    rows = {row.item_id: row for row in _rows(described, ItemRow)} if described.exists() else {}
    for item_id in rows:
        numbers.setdefault(item_id, len(numbers))
    histories = [sorted(events) for events in by_user.values()]
    return Log(
        folder.name,
        tuple(numbers),
        tuple(np.array([item for *_, item in events], np.int32) for events in histories),
        tuple(rows.get(item) for item in numbers),
        tuple(np.array([time for time, *_ in events], np.float64) for events in histories),
        kinds.most_common(1)[0][0] if kinds else "view",
    )


def _rows(path: Path, kind: type[S]) -> Iterator[S]:
    decoder = msgspec.json.Decoder(kind)
    try:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise Unreadable(Reason.INVALID_FIELD, f"{path.name}, line {number}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(Reason.EMPTY, f"{path} cannot be read: {error}; it must be gzip JSONL") from error


def leave_one_out(log: Log) -> Split:
    """The split of the published tables."""
    long = [sequence for sequence in log.sequences if len(sequence) >= 3]
    if not long:
        raise Unacceptable(Reason.EMPTY, f"no shopper of {log.name} has three events: leave-one-out needs that many")
    return Split(
        tuple(sequence[:-2] for sequence in long),
        np.array([sequence[-2] for sequence in long], np.int32),
        np.array([sequence[-1] for sequence in long], np.int32),
    )


def attribute_matrix(log: Log) -> sparse.csr_matrix:
    """[items, attributes]: category levels, brand and attribute ids, weighted by idf, each row of unit length."""
    columns: dict[str, int] = {}
    cells = [
        (number, columns.setdefault(name, len(columns)))
        for number, row in enumerate(log.rows)
        if row is not None
        for name in _attributes(row)
    ]
    if not cells:
        return sparse.csr_matrix((len(log.items), 1), dtype=np.float32)
    at, to = np.array(cells).T
    counts = np.bincount(to, minlength=len(columns))
    weights = np.log(len(log.items) / counts)[to].astype(np.float32)
    matrix = sparse.csr_matrix((weights, (at, to)), shape=(len(log.items), len(columns)))
    norms = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    return sparse.csr_matrix(matrix.multiply(1.0 / np.maximum(norms, 1e-9)))


def _attributes(row: ItemRow) -> set[str]:
    levels = [level.strip() for level in row.category.split(">") if level.strip()]
    paths = {" > ".join(levels[: depth + 1]) for depth in range(len(levels))}
    words = {f"word {word}" for word in re.findall(r"\w+", row.title.lower())}
    return (
        paths | words | {f"#{number}" for number in row.attributes} | ({f"brand {row.brand}"} if row.brand else set())
    )
