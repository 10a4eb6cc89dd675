"""What the one who asks wants to see: of a category, of a price, and not these."""

import numpy as np

from contracts.items import Bools, Rows
from inference.ask import View, Wish


class Wanted:
    """Out: what an ask's ``Wish`` leaves out."""

    name = "wanted"

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        kept = np.ones(rows.shape, bool)
        for number, ask in enumerate(view.asks):
            if ask.wish is not None:
                kept[number] = allowed(view, ask.wish)[rows[number]]
        return kept


def allowed(view: View, wish: Wish) -> Bools:
    """[rows]: what a wish lets stay. An item without a price has none between two prices."""
    table = view.table
    kept = np.ones(len(table), bool)
    if wish.category:
        kept &= table.in_category(wish.category)
    if wish.min_price is not None:
        kept &= table.prices >= wish.min_price
    if wish.max_price is not None:
        kept &= table.prices <= wish.max_price
    out = table.rows(wish.exclude)
    kept[out[out >= 0]] = False
    return kept
