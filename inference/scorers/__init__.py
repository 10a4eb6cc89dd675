"""What gives candidates their value: one idea a file, behind one face."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.items import Floats, Rows
from inference.ask import View


class Scores(NamedTuple):
    """``values`` [B, N], greater is better, at least 0; ``heads`` [B, N, ``HEADS``] in 0..1, or None.

    A head that the scorer does not have is NaN.
    """

    values: NDArray[np.float64]
    heads: Floats | None


class Scorer(Protocol):
    """Scores all candidates of a batch in one go; a candidate's score does not depend on the others."""

    name: str

    def score(self, view: View, rows: Rows, features: Floats) -> Scores:
        """``rows`` [B, N], ``features`` [B, N, F]. Padding may get anything: it is never shown."""
