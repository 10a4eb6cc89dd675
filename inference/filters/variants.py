"""One of each product: the best placed of its variants stays."""

import numpy as np

from contracts.items import Bools, Rows
from inference.ask import View


class Variants:
    """Items of one ``group`` are one product."""

    name = "variants"

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        groups = np.where(rows >= 0, view.table.groups[rows], 0)
        kept = np.ones(rows.shape, bool)
        for shopper in np.flatnonzero((groups > 0).any(axis=1)):
            seen, first = np.unique(groups[shopper], return_index=True)
            best = np.zeros(rows.shape[1], bool)
            best[first[seen > 0]] = True
            kept[shopper] = best | (groups[shopper] == 0)
        return kept
