"""Many sources' proposals become one list a shopper: in turns, each item once, with the source that placed it best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Bools, Rows, first_seen


class Merged(NamedTuple):
    """``rows`` [B, N], -1 for padding, and ``sources`` [B, N]: which source proposed each."""

    rows: Rows
    sources: NDArray[np.int8]

    def keep(self, mask: Bools) -> "Merged":
        """Only what ``mask`` [B, N] lets stay; the rest becomes padding."""
        return Merged(np.where(mask, self.rows, NO_ROW).astype(np.int32), self.sources)

    def before(self, other: "Merged") -> "Merged":
        """These, then what ``other`` has beside them."""
        rows = np.concatenate([self.rows, other.rows], axis=1)
        rows = np.where(first_seen(rows), rows, NO_ROW).astype(np.int32)
        return Merged(rows, np.concatenate([self.sources, other.sources], axis=1))

    def at(self, columns: NDArray[np.int64]) -> "Merged":
        """The columns [B, M] of each shopper."""
        return Merged(np.take_along_axis(self.rows, columns, axis=1), np.take_along_axis(self.sources, columns, axis=1))

    def first(self, limit: int) -> "Merged":
        """The first ``limit`` that are no padding, moved to the left; at least one column."""
        order = np.argsort(self.rows < 0, axis=1, kind="stable")
        rows = np.take_along_axis(self.rows, order, axis=1)
        width = max(1, min(limit, int((rows >= 0).sum(axis=1).max(initial=0))))
        return Merged(_padded(rows, width), np.take_along_axis(self.sources, order, axis=1)[:, :width])


def _padded(rows: Rows, width: int) -> Rows:
    if rows.shape[1] >= width:
        return rows[:, :width]
    return np.full((len(rows), width), NO_ROW, np.int32)


def merge(proposed: Sequence[Rows], shares: Sequence[float] = ()) -> Merged:
    """First everybody's first, then everybody's second, ...: the best of each source gets in. Repeats are dropped.

    ``shares``: how often the turn of each source comes; with 2 its second stands where another's first does.
    """
    width = max((rows.shape[1] for rows in proposed), default=0)
    shoppers = len(proposed[0])
    cube = np.full((shoppers, width, len(proposed)), NO_ROW, np.int32)
    for number, rows in enumerate(proposed):
        cube[:, : rows.shape[1], number] = rows
    flat = cube.reshape(shoppers, -1)
    origin = np.tile(np.arange(len(proposed), dtype=np.int8), width)
    if len(set(shares)) > 1:
        order = np.argsort(np.repeat(np.arange(1, width + 1), len(proposed)) / np.tile(shares, width), kind="stable")
        flat, origin = flat[:, order], origin[order]
    if not flat.shape[1]:
        return Merged(np.full((shoppers, 1), NO_ROW, np.int32), np.zeros((shoppers, 1), np.int8))
    return Merged(np.where(first_seen(flat), flat, NO_ROW).astype(np.int32), np.tile(origin, (shoppers, 1)))
