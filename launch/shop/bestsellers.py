"""The shop's own bestsellers: what most shops show. Learned live from clicks, carts and purchases, never stale."""

import numpy as np

from contracts.events import AnyEvent, ItemId, Kind, items_of, kind_of
from contracts.profile import DAY_MS
from launch.shop.shop import LIST_SIZE, Shop

WEIGHTS = {Kind.CLICK: 1.0, Kind.CART_ADD: 3.0, Kind.PURCHASE: 5.0}
HALF_LIFE_MS = 7 * DAY_MS


class Bestsellers:
    """Decayed counts of what all shoppers did; one variant of each product, never one that is out of stock."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._counts = np.zeros(len(shop.items))
        self._available = np.array([item.available for item in shop.items])
        self._as_of_ms = 0

    def learn(self, event: AnyEvent) -> None:
        """Count one event, in about the order of time."""
        weight = WEIGHTS.get(kind_of(event))
        if weight is None:
            return
        self._decay_to(event.time_ms)
        for row in self._shop.rows(items_of(event)):
            self._counts[row] += weight

    def top(self, size: int = LIST_SIZE) -> tuple[ItemId, ...]:
        """The best-selling items, the best first."""
        best: dict[str, int] = {}
        for row in np.argsort(-np.where(self._available, self._counts, -1.0), kind="stable"):
            item = self._shop.items[row]
            best.setdefault(item.group or item.item_id, int(row))
            if len(best) == size:
                break
        return self._shop.ids(np.array(list(best.values())))

    def _decay_to(self, time_ms: int) -> None:
        # once an hour of the shop's time is fine enough for a half-life of days
        if time_ms - self._as_of_ms > DAY_MS // 24:
            self._counts *= 0.5 ** ((time_ms - self._as_of_ms) / HALF_LIFE_MS)
            self._as_of_ms = time_ms
