"""The light order: what it keeps, what passes by right, and that a bundle's own weights are what orders."""

import numpy as np

from contracts.features import FEATURES
from inference.merge import Merged
from inference.prerank import RESERVED, Prerank

SOURCES = 2
RIGHT = RESERVED * SOURCES


def proposed(width: int) -> tuple[Merged, np.ndarray]:
    """One shopper, whose last candidates have the highest trend, and one with nothing but padding behind the first."""
    rows = np.stack([np.arange(width), np.where(np.arange(width) < 1, 0, -1)]).astype(np.int32)
    features = np.zeros((2, width, len(FEATURES)), np.float32)
    features[..., FEATURES.index("trend")] = np.arange(width)
    return Merged(rows, np.zeros((2, width), np.int8)), features


def test_the_best_by_weight_stay_in_their_order_beside_the_first_of_each_source() -> None:
    merged, features = proposed(30)
    kept, some = Prerank.of((), {"trend": 1.0}, 10).best(merged, features, SOURCES)
    assert kept.rows[0].tolist() == [*range(RIGHT), *range(30 - (10 - RIGHT), 30)]
    assert (some[0, :, FEATURES.index("trend")] == kept.rows[0]).all()
    assert kept.rows[1].tolist() == [0] + [-1] * 9


def test_the_best_that_nobody_turned_to_yet_have_places_of_their_own() -> None:
    merged, features = proposed(60)
    trend, words = FEATURES.index("trend"), FEATURES.index("words_recent")
    features[0, 20:50, trend] = 0.0
    features[0, 20:50, words] = np.arange(30)
    kept, _ = Prerank.of((), {"trend": 10.0, "words_recent": 1.0}, 20).best(merged, features, 1)
    assert set(kept.rows[0].tolist()) == {*range(RESERVED), 48, 49, *range(15, 20), *range(50, 60)}


def test_few_candidates_are_left_alone() -> None:
    merged, features = proposed(10)
    kept, some = Prerank.of((), {"trend": 1.0}, 10).best(merged, features, SOURCES)
    assert kept is merged
    assert some is features


def test_what_training_learned_orders() -> None:
    learned = [0.0] * len(FEATURES)
    learned[FEATURES.index("trend")] = -1.0
    kept, _ = Prerank.of(learned, {"trend": 1.0}, 10).best(*proposed(30), SOURCES)
    assert kept.rows[0].tolist() == list(range(10))


def test_no_number_is_worth_nothing() -> None:
    merged, features = proposed(30)
    features[0, 29] = np.nan
    kept, _ = Prerank.of((), {"trend": 1.0}, 10).best(merged, features, SOURCES)
    assert 29 not in kept.rows[0]
