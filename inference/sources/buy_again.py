"""What the shopper bought before and may need again."""

import numpy as np

from contracts.items import NO_ROW, Rows
from contracts.profile import DAY_MS, Bought
from inference.ask import View


class BuyAgain:
    """Items bought at least ``days`` ago, the most often bought first, the latest first among equals."""

    name = "buy-again"

    def __init__(self, days: float) -> None:
        self._days = days

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        for shopper, profile in enumerate(view.profiles):
            found = view.table.rows(self._ripe(profile.bought, int(view.nows_ms[shopper]))[:limit])  # type: ignore[arg-type]
            rows[shopper, : len(found)] = found
        return rows

    def _ripe(self, bought: Bought, now_ms: int) -> list[str]:
        before = now_ms - self._days * DAY_MS
        ripe = [
            (-count, -time, item)
            for item, time, count in zip(bought.items, bought.times_ms, bought.counts, strict=True)
            if time < before
        ]
        return [item for *_, item in sorted(ripe)]

    def explain(self, view: View, shopper: int, row: int) -> str:
        """See ``Source``."""
        return "You bought it before"
