"""What orders the slate."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.items import Rows
from inference.ask import View


class Selection(NamedTuple):
    """``picks`` and ``propensities`` [B, K]: columns of the candidates, best slot first, -1 where none is left."""

    picks: NDArray[np.int64]
    propensities: NDArray[np.float64]


class Selector(Protocol):
    """Draws the slots of each slate from its scored candidates."""

    def select(self, view: View, rows: Rows, values: NDArray[np.float64], size: int) -> Selection:
        """``values`` [B, N]; -inf is never taken."""
