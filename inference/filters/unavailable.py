"""Out of stock, or deleted."""

import numpy as np

from contracts.items import Bools, Rows
from inference.ask import View


class Unavailable:
    """Stock and deletion take effect on the next slate: whatever a source proposed, the table is asked again."""

    name = "unavailable"

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        return np.asarray((rows >= 0) & view.offered[rows])
