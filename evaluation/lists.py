"""What a whole set of lists is like, whoever liked it: how different the items of one list are, who is shown at all."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Lists = NDArray[np.int32]


def diversity(lists: Lists, attributes: sparse.csr_matrix) -> float | None:
    """Intra-list diversity: 1 - the mean cosine of two items of a list, averaged over lists (Ziegler et al., 2005).

    ``lists`` [B, k], -1 where a list ends; ``attributes`` [items, A] rows of unit length. Items without attributes are
    passed over, and so is a list with fewer than two others; None where no list is left.
    """
    described = np.asarray(attributes.getnnz(axis=1) > 0)
    at, slot = np.nonzero((lists >= 0) & described[lists])
    shown = sparse.csr_matrix(
        (np.ones(len(at), np.float32), (at, lists[at, slot])), shape=(len(lists), attributes.shape[0])
    )
    counts = np.bincount(at, minlength=len(lists)).astype(np.float64)
    sums = sparse.csr_matrix(shown @ attributes)
    squares = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    several = counts > 1
    if not several.any():
        return None
    n = counts[several]
    return float((1.0 - (squares[several] - n) / (n * (n - 1.0))).mean())


def gini(listed: Lists, items: int) -> float:
    """Of how often each of all ``items`` is shown: 0 where all are shown alike, towards 1 where one item has it all."""
    shown = np.sort(np.bincount(listed, minlength=items)).astype(np.float64)
    places = np.arange(1, items + 1)
    return float(((2 * places - items - 1) * shown).sum() / (items * shown.sum())) if shown.sum() else 0.0
