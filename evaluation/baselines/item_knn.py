"""Item-to-item neighbours by cosine over shoppers (Sarwar et al., 2001), with shrinkage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.baselines.transitions import recency_matrix

Past = NDArray[np.int32]


class ItemKnn:
    """Scores are the summed similarities to all the shopper's items; the ``neighbours`` strongest an item count."""

    name = "item-kNN"

    def __init__(self, pasts: Sequence[Past], items: int, neighbours: int = 100, shrinkage: float = 10.0) -> None:
        seen = recency_matrix(pasts, items, base=1.0, limit=10_000).astype(np.float32)
        seen.data[:] = 1.0
        together = sparse.csr_matrix(seen.T @ seen)
        norms = np.sqrt(together.diagonal())
        together.setdiag(0.0)
        together.eliminate_zeros()
        at, to = together.nonzero()
        together.data = (together.data / (norms[at] * norms[to] + shrinkage)).astype(np.float32)
        self._similar = _strongest(together, neighbours)
        self._items = items

    def scores(self, pasts: Sequence[Past]) -> NDArray[np.float32]:
        """[B, items]."""
        return np.asarray((recency_matrix(pasts, self._items, 1.0, 10_000) @ self._similar).toarray(), np.float32)


def _strongest(matrix: sparse.csr_matrix, keep: int) -> sparse.csr_matrix:
    for row in range(matrix.shape[0]):
        values = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]
        if len(values) > keep:
            values[np.argsort(values, kind="stable")[:-keep]] = 0.0
    matrix.eliminate_zeros()
    return matrix
