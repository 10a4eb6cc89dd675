"""What the shopper looked at and did not buy: where they left off."""

from collections.abc import Iterator, Sequence

import numpy as np

from contracts.events import ItemId, Kind
from contracts.items import NO_ROW, Rows
from contracts.profile import DAY_MS, Profile
from inference.ask import View
from inference.sources import Shoppers

LOOKS = frozenset({Kind.CLICK, Kind.VIEW, Kind.CART_ADD, Kind.CART_REMOVE, Kind.WISHLIST})


class Revisit:
    """Items looked at within ``days`` and not bought since, the last one first."""

    name = "revisit"

    def __init__(self, days: float) -> None:
        self._span_ms = days * DAY_MS

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        for shopper, profile in enumerate(view.profiles):
            since = int(view.nows_ms[shopper]) - self._span_ms
            found = view.table.rows(list(dict.fromkeys(_left_off(profile, since))))
            found = found[view.offered[found] & (found >= 0)][:limit]
            rows[shopper, : len(found)] = found
        return rows

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        return ["You looked at it lately"] * len(rows)


def _left_off(profile: Profile, since_ms: float) -> Iterator[ItemId]:
    past = profile.history
    bought = dict(zip(profile.bought.items, profile.bought.times_ms, strict=True))
    for item, kind, time in zip(reversed(past.items), reversed(past.kinds), reversed(past.times_ms), strict=True):
        if kind in LOOKS and time >= since_ms and bought.get(item, -1) < time:
            yield item
