"""What the shopper just saw, just bought, or does not want to see."""

from collections.abc import Iterable

import numpy as np

from contracts.events import ItemId
from contracts.items import Bools, Rows
from contracts.profile import DAY_MS, Profile
from inference.ask import View


class Met:
    """Out: the last ``seen`` items looked at, everything bought within ``bought_days``, in the cart, or hidden."""

    name = "met"

    def __init__(self, seen: int, bought_days: float) -> None:
        self._seen = seen
        self._bought_days = bought_days

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        kept = np.ones(rows.shape, bool)
        for shopper, profile in enumerate(view.profiles):
            out = view.table.rows([*self._out(profile, int(view.nows_ms[shopper]))])
            kept[shopper] = ~np.isin(rows[shopper], out)
        return kept

    def _out(self, profile: Profile, now_ms: int) -> Iterable[ItemId]:
        recent = dict.fromkeys(reversed(profile.history.items))
        yield from list(recent)[: self._seen]
        yield from profile.hidden
        yield from profile.cart
        lately = now_ms - self._bought_days * DAY_MS
        bought = profile.bought
        yield from (item for item, time in zip(bought.items, bought.times_ms, strict=True) if time >= lately)
