"""A log as visits: what each shopper turned to, one item after the other, read from disk when it is asked for.

What counts is what teaches the shared counts (clicks, views, wishes, cart additions, purchases, reviews). What was
shown, searched, hidden, taken out or given back is no visit, only something that came before or after one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.dialects.dataset import untimed
from contracts.events import AnyEvent, ItemId, Kind, items_of, kind_of
from contracts.statistics import WEIGHTS
from training.stored_events import shoppers_of

#: Events by which a shopper turns to an item.
TURNING = frozenset(WEIGHTS)


class Visit(NamedTuple):
    """What a shopper did with one item in a row: its click, its view, its order. The same done twice is two visits.

    ``item`` is a number; ``place`` of its first event in the log; ``seconds`` Unix, 0: no times.
    """

    item: int
    kinds: tuple[Kind, ...]
    place: int
    seconds: float


Visits = tuple[Visit, ...]


def places_by_shopper(events: Sequence[AnyEvent]) -> list[NDArray[np.int64]]:
    """Where each shopper's events stand, in the order in which shoppers first came."""
    shoppers = shoppers_of(events)
    order = np.argsort(shoppers, kind="stable")
    starts = np.unique(shoppers[order], return_index=True)[1]
    parts = [part for part in np.split(order, starts[1:]) if len(part)]
    return sorted(parts, key=lambda part: int(part[0]))


def visits_by_shopper(events: Sequence[AnyEvent], numbers: dict[ItemId, int]) -> Iterator[Visits]:
    """Each shopper's visits, () of who turned to nothing. ``numbers``: of the items so far; new ones are added."""
    return (_visits(events, places, numbers) for places in places_by_shopper(events))


def _visits(events: Sequence[AnyEvent], places: NDArray[np.int64], numbers: dict[ItemId, int]) -> Visits:
    visits: list[Visit] = []
    for place in places.tolist():
        event = events[place]
        kind = kind_of(event)
        for item_id in items_of(event) if kind in TURNING else ():
            item = numbers.setdefault(item_id, len(numbers))
            last = visits[-1] if visits else None
            if last is not None and last.item == item and last.kinds[-1] is not kind:
                visits[-1] = last._replace(kinds=(*last.kinds, kind))
            else:
                visits.append(Visit(item, (kind,), place, 0.0 if untimed(event) else event.time_ms / 1000))
    return tuple(visits)


def in_last_visits(events: Sequence[AnyEvent], count: int) -> NDArray[np.bool_]:
    """[n]: whether an event belongs to its shopper's last ``count`` visits, or came after the first of those."""
    held = np.zeros(len(events), np.bool_)
    for places in places_by_shopper(events) if count else ():
        visits = _visits(events, places, {})
        if visits:
            held[places[places >= visits[-count:][0].place]] = True
    return held
