"""What a text is about: latent semantic analysis (Deerwester et al., 1990), from which tokens come together in texts.

Counts of tokens, damped, and weighed by how rare each is, are cut down to the directions in which texts differ most.
So two texts are near each other that share no token, where other texts have both their tokens.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.unit_rows import unit_rows

LEAST = 2  # texts that a token is in; one that stands in a single text brings no two together
NOTHING = 1e-4  # a shorter row is rounding
SPARE, PASSES = 16, 20  # columns beyond those asked for, and products, until the directions stand

Floats = NDArray[np.float32]


def latent(bags: Sequence[Sequence[int]], dim: int) -> Floats:
    """[n, dim], rows of unit length; zeros for a text that has nothing in common with any other.

    ``bags``: each text's tokens. Few texts or tokens have fewer directions than ``dim``; the other columns are zeros.
    """
    found = np.zeros((len(bags), dim), np.float32)
    directions = _directions(Weighing(bags).of(bags), dim)
    found[:, : directions.shape[1]] = directions
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths > NOTHING, found / np.maximum(lengths, NOTHING), 0.0)


def _directions(weighed: sparse.csr_matrix, most: int) -> NDArray[np.float64]:
    """[n, up to ``most``]: left singular vectors by their values, the largest first (Halko, Martinsson, Tropp, 2011).

    Not ARPACK's: where values are equal or none, it draws anew in each call, and no training ends twice the same.
    """
    columns = min(most + SPARE, *weighed.shape)
    if columns == 0:
        return np.zeros((weighed.shape[0], 0))
    basis = weighed @ np.random.default_rng(0).standard_normal((weighed.shape[1], columns))
    for _ in range(PASSES):
        basis = weighed @ (weighed.T @ np.linalg.qr(basis).Q)
    basis = np.linalg.qr(basis).Q
    sides, strengths, _ = np.linalg.svd((weighed.T @ basis).T, full_matrices=False)
    return np.asarray((basis @ sides * strengths)[:, :most])


class Weighing:
    """How much a token says, learned from ``bags``: the logarithm of texts / texts that have it."""

    def __init__(self, bags: Sequence[Sequence[int]]) -> None:
        texts_with = Counter(token for bag in bags for token in set(bag))
        known = sorted(token for token, texts in texts_with.items() if texts >= LEAST)
        self._column = {token: number for number, token in enumerate(known)}
        self._rarity = [np.log((len(bags) + 1) / (texts_with[token] + 1)) for token in known]

    def of(self, bags: Sequence[Sequence[int]]) -> sparse.csr_matrix:
        """[n, tokens known]: (1 + log count) * rarity, rows of unit length, or zeros."""
        counts = [Counter(token for token in bag if token in self._column) for bag in bags]
        columns = [self._column[token] for count in counts for token in count]
        often = np.array([times for count in counts for times in count.values()])
        weights = (1 + np.log(often)) * np.array([self._rarity[column] for column in columns])
        starts = np.cumsum([0, *map(len, counts)])
        return unit_rows(sparse.csr_matrix((weights, columns, starts), shape=(len(bags), len(self._column))))
