"""Each item's strongest neighbours: the rows that count most beside it, and how much."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Rows
from contracts.runs import Integers, Runs, owners_of_runs
from contracts.terms import slots_of

Weights = NDArray[np.float64]
Count = tuple[int, float]  # of a row


class Sought:
    """Rows [B, F] that are looked for among the neighbours of others; ``rows`` is how many rows there are."""

    def __init__(self, following: Rows, rows: int) -> None:
        known, self._slots = slots_of(following, rows)
        self._slots[NO_ROW] = len(known)  # the last slot, which no row has
        shoppers, self._width = np.arange(len(following))[:, None], following.shape[1]
        self._first = np.full((len(following), len(known) + 1), NO_ROW, np.int32)
        self._first[shoppers, self._slots[following[:, ::-1]]] = np.arange(self._width, dtype=np.int32)[::-1]
        self._first[:, len(known)] = NO_ROW
        self._whose = np.where(following >= 0, self._first[shoppers, self._slots[following]], self._width)

    def among(self, lengths: Integers, to: Rows, weights: Weights) -> Weights:
        """[B, M, F]: the weight of each row sought in each run of neighbours; 0 where it is not in it, and for padding.

        ``lengths`` [B, M]; ``to`` and ``weights`` [C] lie end to end.
        """
        owners = owners_of_runs(lengths.ravel())
        at = self._first[owners // max(1, lengths.shape[1]), self._slots[to]]
        hits = np.flatnonzero(at >= 0)
        found = np.zeros((lengths.size, self._width + 1))
        found[owners[hits], at[hits]] = weights[hits]
        return np.take_along_axis(found.reshape(*lengths.shape, -1), self._whose[:, None, :], axis=2)


class Neighbours:
    """For each row its strongest others with inflated weights, ``width`` at most; it takes the room that they need.

    Whoever writes calls ``fit`` first. One thread at a time.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._runs = Runs(np.int32, np.float64)

    def fit(self, rows: int) -> None:
        """Make room for at least so many rows."""
        self._runs.fit(rows)

    def put(self, row: int, known: dict[int, float]) -> Iterator[Count]:
        """Set a row's neighbours. Returns those that were not so before."""
        return self._keep(row, self._of(row), known)

    def raised(self, row: int, grown: dict[int, float]) -> Iterator[Count]:
        """Some counts grew; one that did not is as it was. Returns those that are not as before."""
        before = self._of(row)
        kept = {other: max(weight, before.get(other, 0.0)) for other, weight in grown.items()}
        return self._keep(row, before, before | kept)

    def _of(self, row: int) -> dict[int, float]:
        to, weights = self._runs.of(row)
        return dict(zip(to.tolist(), weights.tolist(), strict=True))

    def _keep(self, row: int, before: dict[int, float], counts: dict[int, float]) -> Iterator[Count]:
        """The strongest, ties to the lower row. What changed is only found if somebody reads it."""
        if len(counts) > self._width:
            counts = dict(sorted(counts.items(), key=lambda count: (-count[1], count[0]))[: self._width])
        self._runs.put(row, list(counts), list(counts.values()))
        return ((other, weight) for other, weight in counts.items() if before.get(other) != weight)

    def beside(self, rows: Rows) -> tuple[Integers, Rows, Weights]:
        """How many neighbours each of ``rows`` [M] has; all of them, and their weights, [C] end to end."""
        lengths, places = self._runs.places(rows)
        to, weights = self._runs.columns
        return lengths, to[places], weights[places]

    def hits(self, leading: Rows, sought: Sought) -> Weights:
        """[B, M, F]: the weight of what is sought [B, F] among the neighbours of ``leading`` [B, M]; 0 for padding."""
        lengths, to, weights = self.beside(leading.ravel())
        return sought.among(lengths.reshape(leading.shape), to, weights)

    def strongest(self, recent: Rows, others: Rows) -> Rows:
        """[M]: which of the rows ``recent`` [M, L] has ``others`` [M] most strongly beside it; -1 where none does."""
        lengths, to, found = self.beside(recent.ravel())
        owners = owners_of_runs(lengths)
        hits = np.flatnonzero(to == others[owners // max(1, recent.shape[1])])
        weights = np.zeros(recent.size)
        weights[owners[hits]] = found[hits]
        best = weights.reshape(recent.shape).argmax(axis=1)
        leader = recent[np.arange(len(recent)), best]
        return np.where(weights.reshape(recent.shape).max(axis=1) > 0.0, leader, np.int32(NO_ROW))
