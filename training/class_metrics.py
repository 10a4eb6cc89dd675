"""How right a classifier is: accuracy, and precision, recall and F1 by class, their mean, and of the positive class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import Figure

Classes = NDArray[np.int64]


class Measured(NamedTuple):
    """Precision, recall and F1; 0 where nothing was found, or nothing was there."""

    precision: float
    recall: float
    f1: float


def of_class(found: Classes, truth: Classes, wanted: int) -> Measured:
    """One class against all others."""
    right = float(np.count_nonzero((found == wanted) & (truth == wanted)))
    precision = right / max(1.0, float(np.count_nonzero(found == wanted)))
    recall = right / max(1.0, float(np.count_nonzero(truth == wanted)))
    return Measured(precision, recall, 2 * precision * recall / max(precision + recall, 1e-12))


def macro(found: Classes, truth: Classes) -> Measured:
    """The plain mean over the classes that are there or were found."""
    classes = np.union1d(found, truth).tolist()
    each = np.array([of_class(found, truth, wanted) for wanted in classes])
    return Measured(*each.mean(axis=0).tolist())


def macro_f1(found: Classes, truth: Classes) -> float:
    """By this the best is chosen."""
    return macro(found, truth).f1


def class_figures(name: str, found: Classes, truth: Classes, positive: int | None) -> tuple[Figure, ...]:
    """All of it, each figure's name beginning with ``name``. ``positive`` None: no class is more asked for."""
    kinds = [("macro", macro(found, truth))]
    if positive is not None:
        kinds.append(("positive", of_class(found, truth, positive)))
    named = [(f"{name}_accuracy", float(np.mean(found == truth)))]
    named += [(f"{name}_{kind}_{what}", value) for kind, got in kinds for what, value in got._asdict().items()]
    return tuple(Figure(name=what, value=round(value, 6)) for what, value in named)
