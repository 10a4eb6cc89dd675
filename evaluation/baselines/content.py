"""Content only: what looks like the shopper's last items. It knows no clicks, so a new item is as good as any."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.baselines.transitions import Validation, recency_matrix, validated

Past = NDArray[np.int32]

BASES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


class Content:
    """Scores are cosines of attribute vectors to the history's items, the item of age a weighted ``base ** a``."""

    name = "content only"

    def __init__(self, attributes: sparse.csr_matrix, base: float = 0.8) -> None:
        self.base = base
        self._attributes, self._across = attributes, sparse.csr_matrix(attributes.T)

    def scores(self, pasts: Sequence[Past]) -> NDArray[np.float32]:
        """[B, items]."""
        taste = recency_matrix(pasts, self._attributes.shape[0], self.base) @ self._attributes
        return np.asarray((taste @ self._across).toarray(), np.float32)


def tuned(attributes: sparse.csr_matrix, validation: Validation) -> Content:
    """The base with the best NDCG@10 on validation."""
    return max((Content(attributes, base) for base in BASES), key=lambda model: validated(model, validation))
