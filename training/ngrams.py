"""The plain answer to "what kind of text is it": TF-IDF of character n-grams and a logistic regression.

Characters need no tokenizer and no language. Softmax regression with an L2 penalty, by at most ``STEPS`` of L-BFGS; the
penalty is chosen on validation. No text but those that are learned from has any say in the n-grams or their weights.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from training.labelled import Labelled
from training.unit_rows import unit_rows

LENGTHS = (1, 2, 3)
LONGEST = 1000  # characters of a text
MOST = 200_000  # n-grams, the most frequent by texts
LEAST = 2  # texts that an n-gram must be in
PENALTIES = (1e-6, 3e-6, 1e-5, 1e-4)
STEPS = 100

Numbers = NDArray[np.float64]
Classes = NDArray[np.int64]


class Ngrams:
    """Knows n-grams and how rare they are; texts become rows of length 1."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(gram for text in texts for gram in set(grams(text)))
        often = sorted((gram for gram, count in counts.items() if count >= LEAST), key=lambda g: (-counts[g], g))
        self._columns = {gram: column for column, gram in enumerate(often[:MOST])}
        seen = np.array([counts[gram] for gram in self._columns], np.float64)
        self._rarity = np.log((1 + len(texts)) / (1 + seen)) + 1

    def matrix(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """[texts, n-grams]: 1 + log of the count, by rarity."""
        rows, columns, values = [], [], []
        for row, text in enumerate(texts):
            for gram, count in Counter(grams(text)).items():
                if gram in self._columns:
                    rows.append(row)
                    columns.append(self._columns[gram])
                    values.append(1 + np.log(count))
        found = sparse.csr_matrix((values, (rows, columns)), (len(texts), len(self._columns)))
        return unit_rows(found.multiply(self._rarity).tocsr())


class Regression(NamedTuple):
    """Weights [n-grams, classes] and biases [classes]."""

    weights: Numbers
    biases: Numbers

    def classes(self, matrix: sparse.csr_matrix) -> Classes:
        """The likeliest class of each row."""
        return np.asarray((matrix @ self.weights + self.biases).argmax(axis=1), np.int64)


def grams(text: str) -> Iterator[str]:
    """All n-grams of the text in lower case, its ends marked."""
    marked = f" {text[:LONGEST].lower()} "
    for length in LENGTHS:
        yield from (marked[at : at + length] for at in range(len(marked) - length + 1))


def answer(
    learn: Sequence[Labelled], choose: Sequence[Labelled], test: Sequence[str], labels: Sequence[str],
    score: Callable[[Classes, Classes], float],
) -> Classes:  # fmt: skip
    """The classes of ``test``, with the penalty that scores best on ``choose``."""
    known = Ngrams([row.text for row in learn])
    matrix, truth = known.matrix([row.text for row in learn]), class_numbers(learn, labels)
    chosen_on, chosen_truth = known.matrix([row.text for row in choose]), class_numbers(choose, labels)
    tried = [fit_regression(matrix, truth, len(labels), penalty) for penalty in PENALTIES]
    best = max(tried, key=lambda found: score(found.classes(chosen_on), chosen_truth))
    return best.classes(known.matrix(test))


def fit_regression(matrix: sparse.csr_matrix, truth: Classes, classes: int, penalty: float) -> Regression:
    """Minimize the mean cross-entropy and ``penalty`` times half the squared weights."""
    rows, columns = matrix.shape
    wanted, turned = np.eye(classes)[truth], matrix.T.tocsr()

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        weights, biases = _parts(flat, columns, classes)
        logits = np.asarray(matrix @ weights + biases)
        wrong = (softmax(logits, axis=1) - wanted) / rows
        slope = np.concatenate([(turned @ wrong + penalty * weights).ravel(), wrong.sum(axis=0)])
        cost = -float((log_softmax(logits, axis=1) * wanted).sum()) / rows
        return cost + penalty / 2 * float((weights**2).sum()), slope

    start = np.zeros((columns + 1) * classes)
    return Regression(
        *_parts(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x, columns, classes)
    )


def class_numbers(rows: Sequence[Labelled], labels: Sequence[str]) -> Classes:
    """The place of each row's label among ``labels``; -1 for a label that was never learned."""
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places.get(row.label, -1) for row in rows], np.int64)


def _parts(flat: Numbers, columns: int, classes: int) -> tuple[Numbers, Numbers]:
    return flat[: columns * classes].reshape(columns, classes), flat[columns * classes :]
