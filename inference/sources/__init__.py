"""What proposes candidates: one idea a file. To add one: a file here, and its line in ``inference/pipeline.py``."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Rows
from inference.ask import View


class Source(Protocol):
    """Proposes up to ``limit`` items for each shopper, best first."""

    name: str

    def propose(self, view: View, limit: int) -> Rows:
        """[B, <= limit] rows, -1 where there are no more."""

    def explain(self, view: View, shopper: int, row: int) -> str:
        """Why this item was proposed to this shopper, in words for the shopper."""


class Top(NamedTuple):
    """The best rows and their scores, both [B, k], best first."""

    rows: Rows
    scores: NDArray[np.float32]


def top_rows(scores: NDArray[np.floating], limit: int) -> Top:
    """The best ``limit`` columns of ``scores`` [B, rows]; -inf is never taken. Ties go to the lower row."""
    limit = min(limit, scores.shape[1])
    if limit == 0:
        return Top(np.zeros((len(scores), 0), np.int32), np.zeros((len(scores), 0), np.float32))
    part = np.sort(np.argpartition(-scores, limit - 1, axis=1)[:, :limit], axis=1)
    taken = np.take_along_axis(scores, part, axis=1)
    order = np.argsort(-taken, axis=1, kind="stable")
    rows, best = np.take_along_axis(part, order, axis=1), np.take_along_axis(taken, order, axis=1)
    return Top(np.where(np.isfinite(best), rows, NO_ROW).astype(np.int32), best.astype(np.float32))
