"""What the shopper bought before and may need again."""

from collections.abc import Sequence

import numpy as np

from contracts.events import ItemId
from contracts.items import NO_ROW, Rows
from contracts.profile import DAY_MS, Bought
from inference.ask import View
from inference.sources import Shoppers


class BuyAgain:
    """Items bought at least ``days`` ago, the most often bought first, the latest first among equals."""

    name = "buy-again"

    def __init__(self, days: float) -> None:
        self._days = days

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        for shopper, profile in enumerate(view.profiles):
            if profile.bought.items:
                found = view.table.rows(self._ripe(profile.bought, int(view.nows_ms[shopper])))
                found = found[view.offered[found] & (found >= 0)][:limit]
                rows[shopper, : len(found)] = found
        return rows

    def _ripe(self, bought: Bought, now_ms: int) -> list[ItemId]:
        before = now_ms - self._days * DAY_MS
        columns = zip(bought.items, bought.times_ms, bought.counts, strict=True)
        ripe = [(-count, -time, item) for item, time, count in columns if time < before]
        return [item for *_, item in sorted(ripe)]

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        return ["You bought it before"] * len(rows)
