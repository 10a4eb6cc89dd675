"""A log by shopper: what each did, in their order, read when it is asked for."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from contracts.dialects.dataset import UNTIMED_MS, UNTIMED_STEP_MS
from contracts.events import AnyEvent
from training.visits import places_by_shopper


class Walk(Sequence[AnyEvent]):
    """One shopper's events, times put aside: each is a step after the one before. ``places`` are theirs in the log."""

    def __init__(self, events: Sequence[AnyEvent], places: NDArray[np.int64]) -> None:
        self._events, self._places = events, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> AnyEvent: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[AnyEvent]: ...
    def __getitem__(self, at: int | slice) -> AnyEvent | Sequence[AnyEvent]:
        numbers = range(len(self))[at]
        return self._step(numbers) if isinstance(numbers, int) else [self._step(number) for number in numbers]

    def __iter__(self) -> Iterator[AnyEvent]:
        return map(self._step, range(len(self)))

    def _step(self, number: int) -> AnyEvent:
        return replace(self._events[int(self._places[number])], time_ms=UNTIMED_MS + number * UNTIMED_STEP_MS)


def walks_of(events: Sequence[AnyEvent]) -> list[Walk]:
    """All shoppers' walks, in the order in which they first came."""
    return [Walk(events, places) for places in places_by_shopper(events)]
