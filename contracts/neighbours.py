"""Each item's strongest neighbours as arrays: the rows that count most beside it, and how much."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Rows
from contracts.terms import slots_of

Weights = NDArray[np.float64]


class Neighbours:
    """For each row up to ``width`` others with inflated weights; -1 and 0 where there are no more.

    Whoever reads it calls ``fit`` first. Weights only grow, but by ``put``. One thread at a time.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._to = np.full((0, width), NO_ROW, np.int32)
        self._weight = np.zeros((0, width))

    def __len__(self) -> int:
        return len(self._to)

    def fit(self, rows: int) -> None:
        """Make room for at least so many rows."""
        missing = rows - len(self._to)
        if missing > 0:
            grow = max(missing, len(self._to))
            self._to = np.concatenate([self._to, np.full((grow, self._width), NO_ROW, np.int32)])
            self._weight = np.concatenate([self._weight, np.zeros((grow, self._width))])

    def raised(self, row: int, other: int, weight: float) -> None:
        """One count grew: it takes its own slot, or the weakest one's, if that is weaker."""
        own = np.flatnonzero(self._to[row] == other)
        slot = int(own[0]) if len(own) else int(self._weight[row].argmin())
        if weight > self._weight[row, slot]:
            self._to[row, slot], self._weight[row, slot] = other, weight

    def put(self, row: int, known: Sequence[tuple[int, float]]) -> None:
        """Set a row's neighbours: the strongest are kept, ties to the lower row."""
        self._to[row], self._weight[row] = NO_ROW, 0.0
        for slot, (other, weight) in enumerate(sorted(known, key=lambda pair: (-pair[1], pair[0]))[: self._width]):
            self._to[row, slot], self._weight[row, slot] = other, weight

    def beside(self, rows: Rows) -> tuple[Rows, Weights]:
        """The neighbours of ``rows`` [M] (no padding), and their weights: both [M, width]."""
        return self._to[rows], self._weight[rows]

    def hits(self, leading: Rows, following: Rows) -> Weights:
        """[B, M, F]: the weight of ``following`` [B, F] among the neighbours of ``leading`` [B, M]; 0 for padding."""
        known, slots = slots_of(following, len(self._to))
        slots[NO_ROW] = len(known)  # the last slot, which no row has
        first = np.full((len(following), len(known) + 1), NO_ROW, np.int32)
        shoppers = np.arange(len(following))[:, None]
        places = np.arange(following.shape[1], dtype=np.int32)[::-1]
        first[shoppers, slots[following[:, ::-1]]] = places
        first[:, len(known)] = NO_ROW
        to = np.where((leading >= 0)[..., None], self._to[leading], np.int32(NO_ROW))
        at = first[np.arange(len(to))[:, None, None], slots[to]]
        b, m, slot = np.nonzero(at >= 0)
        found = np.zeros((*leading.shape, following.shape[1] + 1))
        found[b, m, at[b, m, slot]] = self._weight[leading[b, m], slot]
        whose = np.where(following >= 0, first[shoppers, slots[following]], following.shape[1])
        return np.take_along_axis(found, whose[:, None, :], axis=2)

    def strongest(self, recent: Rows, others: Rows) -> Rows:
        """[M]: which of the rows ``recent`` [M, L] has ``others`` [M] most strongly beside it; -1 where none does."""
        leads = (recent >= 0)[..., None] & (self._to[recent] == others[:, None, None])
        weights = np.where(leads, self._weight[recent], 0.0).max(axis=-1)
        best = weights.argmax(axis=1)
        every = np.arange(len(recent))
        return np.where(weights[every, best] > 0.0, recent[every, best], np.int32(NO_ROW))
