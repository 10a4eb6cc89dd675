"""The most interacted with, for everybody."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Past = NDArray[np.int32]


class Popularity:
    """Scores are training counts."""

    name = "popularity"

    def __init__(self, pasts: Sequence[Past], items: int) -> None:
        self.counts = np.bincount(np.concatenate(pasts), minlength=items)

    def scores(self, pasts: Sequence[Past]) -> NDArray[np.float32]:
        """[B, items]."""
        return np.tile(self.counts.astype(np.float32), (len(pasts), 1))
