"""The plain answers to "how many stars": the shopper's mean, the item's, and the regularised bias model of both.

Damping is as many ratings as it takes before a shopper's (an item's) own mean weighs half; chosen on validation.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.biases import Bias, Biases, BiasTable, shopper_key
from training.rated import Rated

DAMPINGS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
FORWARD = 5  # parts of time, for what a bias model says of what it has not seen

Numbers = NDArray[np.float64]


class Fitted(NamedTuple):
    """The bias model that was best on validation, and its damping for items and shoppers."""

    biases: Biases
    of_items: float
    of_shoppers: float


def choose_biases(learn: Sequence[Rated], choose: Sequence[Rated]) -> Fitted:
    """Fit on ``learn`` with each pair of dampings, keep the best on ``choose``."""
    tried = [Fitted(fit_biases(learn, *dampings), *dampings) for dampings in product(DAMPINGS, DAMPINGS)]
    truth = stars_of(choose)
    return min(tried, key=lambda fitted: rmse(within(fitted.biases, plain(fitted.biases, choose)), truth))


def fit_biases(learn: Sequence[Rated], of_items: float, of_shoppers: float) -> Biases:
    """Items first, then what is left to the shoppers."""
    mean, stars = float(np.mean(stars_of(learn))), stars_of(learn)
    items = _means(((each.item_id, each.stars - mean) for each in learn), of_items)
    left = ((shopper_key(each.user_id), each.stars - mean - items[each.item_id]) for each in learn)
    return Biases(
        low=float(stars.min()), high=float(stars.max()), residual=True, mean=round(mean, 6),
        shoppers=_listed(_means(left, of_shoppers)), items=_listed(items),
    )  # fmt: skip


def plain(biases: Biases, rated: Sequence[Rated]) -> Numbers:
    """What the bias model says; it may leave the scale."""
    table = BiasTable(biases)
    return np.array([table.rating(each.user_id, each.item_id) for each in rated])


def plain_forward(fitted: Fitted, learn: Sequence[Rated]) -> Numbers:
    """The bias model's answers to what it was fitted on, as if it came new: each part by those before it in time.

    What it says of ratings that it has seen is too good, and would leave nothing to learn. The first part gets the
    mean.
    """
    edges = [len(learn) * part // FORWARD for part in range(FORWARD + 1)]
    found = [np.full(edges[1], fitted.biases.mean)]
    for start, end in pairwise(edges[1:]):
        biases = fit_biases(learn[:start], fitted.of_items, fitted.of_shoppers)
        found.append(plain(biases, learn[start:end]))
    return np.concatenate(found)


def within(biases: Biases, ratings: Numbers) -> Numbers:
    """Ratings, within the scale."""
    return np.asarray(np.clip(ratings, biases.low, biases.high))


def means_of(learn: Sequence[Rated], rated: Sequence[Rated], key: Callable[[Rated], str]) -> Numbers:
    """The plain mean by shopper or item; everybody's, where there is none."""
    mean = float(np.mean(stars_of(learn)))
    own = _means(((key(each), each.stars - mean) for each in learn), 0.0)
    return np.array([mean + own.get(key(each), 0.0) for each in rated])


def stars_of(rated: Sequence[Rated]) -> Numbers:
    """The truth."""
    return np.array([each.stars for each in rated])


def rmse(predicted: Numbers, truth: Numbers) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def mae(predicted: Numbers, truth: Numbers) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(predicted - truth)))


def _means(values: Iterable[tuple[str, float]], damping: float) -> dict[str, float]:
    sums: defaultdict[str, list[float]] = defaultdict(list)
    for key, value in values:
        sums[key].append(value)
    return {key: sum(found) / (len(found) + damping) for key, found in sums.items()}


def _listed(values: dict[str, float]) -> tuple[Bias, ...]:
    return tuple(Bias(key, round(values[key], 6)) for key in sorted(values))
