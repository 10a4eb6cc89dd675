"""One of each product: the best placed of its variants stays."""

import numpy as np

from contracts.items import Bools, Rows, first_seen
from inference.ask import View


class Variants:
    """Items of one ``group`` are one product."""

    name = "variants"

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        groups = np.where(rows >= 0, view.table.groups[rows], 0)
        return np.asarray((groups == 0) | first_seen(groups))
