"""What the shopper just saw, just bought, has in the cart, or does not want to see."""

from itertools import islice

import numpy as np

from contracts.events import ItemId
from contracts.items import Bools, Rows
from contracts.profile import DAY_MS, Profile
from inference.ask import View


class Met:
    """Out: the last ``seen`` items met, everything bought within ``bought_days``, in the cart, or hidden."""

    name = "met"

    def __init__(self, seen: int, bought_days: float) -> None:
        self._seen = seen
        self._bought_ms = bought_days * DAY_MS

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        pairs = zip(view.profiles, view.nows_ms.tolist(), strict=True)
        out = view.table.keys_of([self._out(profile, now) for profile, now in pairs])
        return np.isin(view.table.keys(rows), out, invert=True)

    def _out(self, profile: Profile, now_ms: int) -> list[ItemId]:
        seen = islice(dict.fromkeys(reversed(profile.history.items)), self._seen)
        bought = zip(profile.bought.items, profile.bought.times_ms, strict=True)
        lately = (item for item, time in bought if time >= now_ms - self._bought_ms)
        return [*seen, *profile.hidden, *profile.cart, *lately]
