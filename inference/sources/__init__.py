"""What proposes candidates: one idea a file. To add one: see ``inference/stages.py``."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.items import Rows
from inference.ask import View

Shoppers = NDArray[np.int64]


class Source(Protocol):
    """Proposes up to ``limit`` items for each shopper, best first, and says why."""

    name: str

    def propose(self, view: View, limit: int) -> Rows:
        """[B, <= limit] rows, -1 where there are no more."""

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """Why item ``rows[m]`` was proposed to shopper ``shoppers[m]``, in words for the shopper; both are [M]."""
