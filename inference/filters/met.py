"""What the shopper just saw, just bought, has in the cart, or does not want to see."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from contracts.events import ItemId
from contracts.items import Bools, Rows
from contracts.profile import DAY_MS, Profile
from inference.ask import View


class Met:
    """Out: the last ``seen`` items met, what was bought within ``bought_days``, is in the ``cart``, or hidden.

    With ``seen`` 1 only the item that the shopper is on is out, with 0 none; with ``bought_days`` 0 nothing bought is.
    """

    name = "met"

    def __init__(self, seen: int, bought_days: float, cart: bool = True) -> None:
        self._seen, self._cart = seen, cart
        self._bought_ms = bought_days * DAY_MS

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        pairs = zip(view.profiles, view.nows_ms.tolist(), strict=True)
        out = view.table.keys_of([[*self._out(profile, now)] for profile, now in pairs])
        return np.isin(view.table.keys(rows), out, invert=True)

    def _out(self, profile: Profile, now_ms: int) -> Iterator[ItemId]:
        yield from islice(dict.fromkeys(reversed(profile.history.items)), self._seen)
        yield from profile.hidden
        if self._cart:
            yield from profile.cart
        if self._bought_ms:
            since = now_ms - self._bought_ms
            bought = zip(profile.bought.items, profile.bought.times_ms, strict=True)
            yield from (item for item, time in bought if time >= since)
