"""What a log lets training read: who was forgotten stays forgotten, and who refused teaches nothing."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.events import AnyEvent, Consent, Kind, erases
from training.stored_events import kinds_of, shoppers_of


def permitted(events: Sequence[AnyEvent]) -> Iterator[AnyEvent]:
    """In order, without what a shopper did before their last erasure, and without all of it while consent is refused.

    ``events`` stand in the order of time.
    """
    return (events[place] for place in np.flatnonzero(are_permitted(events)).tolist())


def are_permitted(events: Sequence[AnyEvent]) -> NDArray[np.bool_]:
    """[n]: whether an event is one of those. Of stored events only those are read that give or take back."""
    shoppers, told = shoppers_of(events), np.isin(kinds_of(events), (Kind.CONSENT, Kind.FORGET))
    said = {place: events[place] for place in np.flatnonzero(told).tolist()}
    erased = {int(shoppers[place]): place for place, event in said.items() if erases(event)}
    refused, allowed = set[int](), np.ones(len(events), np.bool_)
    for place in np.flatnonzero(np.isin(shoppers, shoppers[told])).tolist():
        shopper, event = int(shoppers[place]), said.get(place)
        if isinstance(event, Consent):
            (refused.discard if event.granted else refused.add)(shopper)
        allowed[place] = event is None and place > erased.get(shopper, -1) and shopper not in refused
    return allowed
