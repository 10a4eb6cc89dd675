"""Runs: lists of many lengths that lie end to end in one array."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


def numbers_of_runs(starts: Integers, lengths: Integers) -> Integers:
    """[C]: ``start``, ``start + 1``, ... of each run, end to end."""
    ends = np.cumsum(lengths)
    first = np.repeat(starts - (ends - lengths), lengths)
    return np.asarray(first + np.arange(len(first)), np.int64)


def owners_of_runs(lengths: Integers) -> Integers:
    """[C]: which of the M runs each cell is of."""
    return np.repeat(np.arange(len(lengths)), lengths)


def sums_of_runs(values: NDArray[Number], lengths: Integers) -> NDArray[Number]:
    """[M]: the sum of each run of ``values`` [C]; 0 of an empty one."""
    sums = np.zeros(len(lengths), values.dtype)
    filled = np.flatnonzero(lengths)
    if len(filled):
        sums[filled] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[filled])
    return sums


class Runs:
    """A run for each row, end to end, so that a row takes no more room than it needs; ``columns`` lie side by side.

    A run that outgrows its room moves behind all others, where it gets half as much again; what it leaves lies idle
    until the room is needed. One thread at a time.
    """

    def __init__(self, *kinds: type[np.generic]) -> None:
        self.columns: list[NDArray[Any]] = [np.zeros(0, kind) for kind in kinds]
        self._used = 0
        self._starts, self._lengths, self._rooms = (np.zeros(0, np.int64) for _ in range(3))

    def __len__(self) -> int:
        return len(self._starts)

    def fit(self, rows: int) -> None:
        """Make room for at least so many rows; new ones are empty."""
        more = rows - len(self)
        if more > 0:
            empty = np.zeros(max(1024, more, len(self)), np.int64)
            self._starts, self._lengths, self._rooms = (
                np.concatenate([each, empty]) for each in (self._starts, self._lengths, self._rooms)
            )

    def places(self, rows: NDArray[np.signedinteger[Any]]) -> tuple[Integers, Integers]:
        """[M]: how long the runs of ``rows`` [M] are; [C]: where their cells are in the columns.

        A row that is not there, like padding (-1), has none.
        """
        if not len(self):
            return np.zeros(len(rows), np.int64), np.zeros(0, np.int64)
        known = (rows >= 0) & (rows < len(self))
        at = np.where(known, rows, 0)
        lengths = np.where(known, self._lengths[at], 0)
        return lengths, numbers_of_runs(self._starts[at], lengths)

    def of(self, row: int) -> list[NDArray[Any]]:
        """A row's cells, column by column, as views."""
        cells = slice(int(self._starts[row]), int(self._starts[row] + self._lengths[row]))
        return [column[cells] for column in self.columns]

    def put(self, row: int, *values: Sequence[Any] | NDArray[Any]) -> None:
        """A row's cells from now on, column by column."""
        self._lengths[row] = 0
        if len(values[0]) > self._rooms[row]:
            self._move(row, len(values[0]))
        self._lengths[row] = len(values[0])
        for cells, value in zip(self.of(row), values, strict=True):
            cells[:] = value

    def _move(self, row: int, length: int) -> None:
        room = length + length // 2 if self._rooms[row] else length
        if self._used + room > len(self.columns[0]):
            self._pack(room)
        self._starts[row], self._rooms[row] = self._used, room
        self._used += room

    def _pack(self, more: int) -> None:
        """What is in use moves together, and half as much room again as it needs is made."""
        places = self.places(np.arange(len(self)))[1]
        size = max(1024, (len(places) + more) * 3 // 2)
        for number, column in enumerate(self.columns):
            self.columns[number] = np.zeros(size, column.dtype)
            self.columns[number][: len(places)] = column[places]
        self._starts, self._used = np.cumsum(self._lengths) - self._lengths, len(places)
        self._rooms = self._lengths.copy()
