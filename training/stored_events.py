"""Events on disk in the order of time: any number of them, of which a few bytes each are in memory.

They lie in a temporary file without a name, which is gone with the process, however that ends; ``TMPDIR`` says where.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from mmap import ACCESS_READ, mmap
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from contracts.codec import decode_own_event, encode_own_event
from contracts.errors import EnvironmentRefused
from contracts.events import AnyEvent, kind_of
from contracts.whole_folder import full

BLOCK = 1024  # events whose places are plain numbers at once


class Columns(NamedTuple):
    """What is in memory, [n] each: where in the file, how many bytes, whose (numbers from 0 on), which ``Kind``."""

    starts: NDArray[np.int64]
    sizes: NDArray[np.uint32]
    shoppers: NDArray[np.uint32]
    kinds: NDArray[np.uint8]

    def at(self, places: "slice | NDArray[Any]") -> "Columns":
        """Those of some events, in the order of ``places``, or where a mask is true."""
        return Columns(self.starts[places], self.sizes[places], self.shoppers[places], self.kinds[places])


class StoredEvents(Sequence[AnyEvent]):
    """Events that are read when they are asked for. A slice is a view as well."""

    def __init__(self, content: "mmap | bytes", columns: Columns) -> None:
        self._content = content
        self.columns = columns

    def take(self, places: NDArray[Any]) -> "StoredEvents":
        """Some of them, in the order of ``places``, or where a mask is true."""
        return StoredEvents(self._content, self.columns.at(places))

    def __len__(self) -> int:
        return len(self.columns.starts)

    @overload
    def __getitem__(self, at: int) -> AnyEvent: ...
    @overload
    def __getitem__(self, at: slice) -> "StoredEvents": ...
    def __getitem__(self, at: int | slice) -> "AnyEvent | StoredEvents":
        if isinstance(at, slice):
            return StoredEvents(self._content, self.columns.at(at))
        start = int(self.columns.starts[at])
        return decode_own_event(self._content[start : start + int(self.columns.sizes[at])])

    def __iter__(self) -> Iterator[AnyEvent]:
        content, columns = self._content, self.columns
        for first in range(0, len(self), BLOCK):
            starts = columns.starts[first : first + BLOCK]
            ends = starts + columns.sizes[first : first + BLOCK]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                yield decode_own_event(content[start:end])

    def __eq__(self, other: object) -> bool:
        """Whether the other sequence has the same events."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of a list


def stored(events: Iterable[AnyEvent]) -> StoredEvents:
    """Write events down, each as it comes, and read them back by time; those of the same time stay in their order.

    Raises: EnvironmentRefused, where the disk is full.
    """
    try:
        with TemporaryFile(prefix="daogou-") as file:
            return _written(events, file)
    except OSError as error:
        if not full(error):
            raise
        raise EnvironmentRefused(
            f"the disk is full: the events of a log are kept in {gettempdir()} while it is read; make room there or "
            "name another folder in TMPDIR"
        ) from error


def _written(events: Iterable[AnyEvent], file: IO[bytes]) -> StoredEvents:
    sizes, times, shoppers, kinds = array("I"), array("q"), array("I"), array("B")
    numbers: dict[str, int] = {}
    for event in events:
        row = encode_own_event(event)
        file.write(row)
        sizes.append(len(row))
        times.append(event.time_ms)
        shoppers.append(numbers.setdefault(event.user_id, len(numbers)))
        kinds.append(kind_of(event))
    file.flush()
    content = mmap(file.fileno(), 0, access=ACCESS_READ) if sizes else b""
    lengths = np.asarray(sizes)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    order = np.argsort(np.asarray(times), kind="stable")
    return StoredEvents(content, Columns(starts, lengths, np.asarray(shoppers), np.asarray(kinds)).at(order))


def shoppers_of(events: Sequence[AnyEvent]) -> NDArray[np.uint32]:
    """[n]: whose each event is, as numbers from 0 on. Stored events are not read for it."""
    if isinstance(events, StoredEvents):
        return events.columns.shoppers
    numbers: dict[str, int] = {}
    found = (numbers.setdefault(event.user_id, len(numbers)) for event in events)
    return np.fromiter(found, np.uint32, len(events))


def kinds_of(events: Sequence[AnyEvent]) -> NDArray[np.uint8]:
    """[n]: the ``Kind`` of each event. Stored events are not read for it."""
    if isinstance(events, StoredEvents):
        return events.columns.kinds
    return np.fromiter(map(kind_of, events), np.uint8, len(events))
