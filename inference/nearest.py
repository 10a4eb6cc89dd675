"""Exact top-k over the whole catalogue, without an index: fast enough to a million items."""

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Bools, Floats, Rows

AT_ONCE = 32  # shoppers whose scores of all items lie in memory at one time
GROUPED = 64  # items of which only the best is compared at first
GROUPING_PAYS = 8192


def nearest(queries: Floats, vectors: Floats, allowed: Bools, limit: int) -> Rows:
    """[B, <= limit]: rows of the ``vectors`` [rows, D] of greatest dot product with ``queries`` [B, D], best first.

    ``allowed`` [rows]: the others are never taken; -1 where there are no more, or the query is not finite.
    """
    bias = np.where(allowed, np.float32(0.0), np.float32(-np.inf))
    parts = [_best(queries[start : start + AT_ONCE], vectors, bias, limit) for start in range(0, len(queries), AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.int32)


def _best(queries: Floats, vectors: Floats, bias: Floats, limit: int) -> Rows:
    scores = queries @ vectors.T
    scores += bias
    return top_rows(scores, limit)


def top_rows(scores: NDArray[np.floating], limit: int) -> Rows:
    """[B, <= limit]: the best columns of ``scores`` [B, rows], best first; -1 for what is not finite."""
    limit = min(limit, scores.shape[1])
    if limit == 0:
        return np.zeros((len(scores), 0), np.int32)
    columns = _promising(scores, limit)
    values = np.take_along_axis(scores, columns, axis=1)
    part = np.sort(np.argpartition(-values, limit - 1, axis=1)[:, :limit], axis=1)  # sorted: equals in row order
    values, columns = np.take_along_axis(values, part, axis=1), np.take_along_axis(columns, part, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best, rows = np.take_along_axis(values, order, axis=1), np.take_along_axis(columns, order, axis=1)
    return np.where(np.isfinite(best), rows, NO_ROW).astype(np.int32)


def _promising(scores: NDArray[np.floating], limit: int) -> NDArray[np.int64]:
    """[B, M] columns, ascending, that hold the best ``limit``: those of the groups with the best maxima."""
    rows = scores.shape[1]
    groups = rows // GROUPED
    if rows < GROUPING_PAYS or groups <= limit:
        return np.tile(np.arange(rows), (len(scores), 1))
    whole = groups * GROUPED
    peaks = scores[:, :whole].reshape(len(scores), GROUPED, groups).max(axis=1)
    chosen = np.sort(np.argpartition(-peaks, limit - 1, axis=1)[:, :limit], axis=1)
    members = (np.arange(GROUPED)[:, None] * groups + chosen[:, None, :]).reshape(len(scores), -1)
    return np.concatenate([members, np.tile(np.arange(whole, rows), (len(scores), 1))], axis=1)
