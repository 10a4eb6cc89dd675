"""A folder as ``daogou train`` reads it, as item sequences, and the leave-one-out split of them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from contracts.errors import Reason, Unacceptable
from contracts.events import ItemId
from contracts.messages import CatalogueItem
from evaluation.folder import files_of
from training import log as training_log
from training.visits import Visit, Visits, visits_by_shopper

Sequence = NDArray[np.int32]


class Log(NamedTuple):
    """Item sequences by shopper, in order of time; items are numbers into ``items``.

    ``times``: of each item of ``sequences``, Unix seconds, 0 where it has none; ``visits``: how each came about;
    ``source``: all that was read.
    """

    name: str
    items: tuple[str, ...]
    sequences: tuple[Sequence, ...]
    rows: tuple[CatalogueItem, ...]
    times: tuple[NDArray[np.float64], ...]
    visits: tuple[Visits, ...]
    source: training_log.Log


class Split(NamedTuple):
    """Leave-one-out: the last item is the test, the last but one the validation, the rest is the past.

    Shoppers with fewer than three items are left out of it, as the published protocol does. ``learned``: how
    the pasts came about, the validation too; ``places`` [B]: where in the log the test begins.
    """

    pasts: tuple[Sequence, ...]
    learned: tuple[Visits, ...]
    validation: Sequence
    test: Sequence
    places: NDArray[np.int64]


def read(folder: Path) -> Log:
    """Read a folder, or an events file. Rows that are no events are counted in ``source``.

    Raises: Missing, where there is none; Unreadable, where it holds nothing.
    """
    files, numbers = files_of(folder), dict[ItemId, int]()
    source = training_log.read_log(files.events, files.items)
    visits = tuple(each for each in visits_by_shopper(source.events, numbers) if each)
    described = {ItemId(item.item_id): item for item in source.items}
    for item_id in described:
        numbers.setdefault(item_id, len(numbers))
    return Log(
        files.name,
        tuple(numbers),
        tuple(items_in(each) for each in visits),
        tuple(described[item_id] for item_id in numbers),
        tuple(np.array([visit.seconds for visit in each], np.float64) for each in visits),
        visits,
        source,
    )


def items_in(visits: Iterable[Visit]) -> Sequence:
    """[L]: the items of visits."""
    return np.array([visit.item for visit in visits], np.int32)


def leave_one_out(log: Log) -> Split:
    """The split of the published tables."""
    long = [visits for visits in log.visits if len(visits) >= 3]
    if not long:
        raise Unacceptable(Reason.EMPTY, f"no shopper of {log.name} has three events: leave-one-out needs that many")
    return Split(
        tuple(items_in(visits[:-2]) for visits in long),
        tuple(visits[:-1] for visits in long),
        np.array([visits[-2].item for visits in long], np.int32),
        np.array([visits[-1].item for visits in long], np.int32),
        np.array([visits[-1].place for visits in long], np.int64),
    )


def attribute_matrix(log: Log) -> sparse.csr_matrix:
    """[items, attributes]: category levels, brand and attribute ids, weighted by idf, each row of unit length."""
    columns: dict[str, int] = {}
    cells = [
        (number, columns.setdefault(name, len(columns)))
        for number, row in enumerate(log.rows)
        for name in sorted(_attributes(row))  # a set's own order differs from run to run, and roundings with it
    ]
    if not cells:
        return sparse.csr_matrix((len(log.items), 1), dtype=np.float32)
    at, to = np.array(cells).T
    counts = np.bincount(to, minlength=len(columns))
    weights = np.log(len(log.items) / counts)[to].astype(np.float32)
    matrix = sparse.csr_matrix((weights, (at, to)), shape=(len(log.items), len(columns)))
    norms = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    return sparse.csr_matrix(matrix.multiply(1.0 / np.maximum(norms, 1e-9)))


def _attributes(row: CatalogueItem) -> set[str]:
    paths = {" > ".join(row.category[: depth + 1]) for depth in range(len(row.category))}
    words = {f"word {word}" for word in re.findall(r"\w+", row.title.lower())}
    return paths | words | {f"#{name}" for name in row.attributes} | ({f"brand {row.brand}"} if row.brand else set())
