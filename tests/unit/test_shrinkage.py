"""A correction is kept as far as it is more than chance; n-grams are hashed alike everywhere."""

import numpy as np
import pytest
import torch

from contracts.ngrams import BUCKETS, LONGEST, ngrams, ngrams_of
from training.hashed_ngrams import Texts, learn_ngrams
from training.shrinkage import SHARES, kept_share


def squared(truth: np.ndarray, correction: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda share: (truth - share * correction) ** 2


def test_a_true_correction_is_kept_and_noise_is_dropped() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=2000)
    each = np.arange(2000)
    assert kept_share(squared(truth, truth), each) == 1.0
    assert 0.3 <= kept_share(squared(truth, 2.0 * truth), each) <= 0.55
    assert kept_share(squared(truth, rng.normal(size=2000)), each) == 0.0
    assert kept_share(squared(truth, -truth), each) == 0.0
    assert (SHARES[0], SHARES[-1]) == (0.0, 1.0)


def test_copies_of_one_witness_are_no_more_witnesses() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=12)
    correction = 0.4 * truth + 0.4 * rng.normal(size=12)
    many, owners = (np.repeat(values, 200) for values in (truth, np.arange(12)))
    bold = kept_share(squared(many, np.repeat(correction, 200)), np.arange(2400))
    assert kept_share(squared(many, np.repeat(correction, 200)), owners) < bold


def test_ngrams_are_of_any_language_and_any_length() -> None:
    found = ngrams(["", "a", "质量不错", "Red COAT", "red coat", "x" * 5 * LONGEST])
    assert found.ids.shape == found.weights.shape
    assert ((found.ids >= 0) & (found.ids < BUCKETS)).all()
    assert (found.weights[2] > 0).sum() == 5 + 5 + 4  # of " 质量不错 ", whose ends are alike
    np.testing.assert_array_equal(found.ids[3], found.ids[4])
    assert ngrams([]).ids.shape == (0, 1)


def test_a_bucket_met_again_weighs_more() -> None:
    buckets, weights = ngrams_of("好好好好")
    assert len(np.unique(buckets)) == len(buckets)
    assert weights.max() == pytest.approx(1 + np.log(4))


def test_the_module_says_what_the_regression_learned_and_what_it_had_not_seen_is_less_sure() -> None:
    words = ("good", "fine", "bad", "poor")
    rng = np.random.default_rng(2)
    texts = [f"{words[n % 4]} {rng.integers(1000)}" for n in range(400)]
    truth = np.array([n % 4 // 2 for n in range(400)])
    found = learn_ngrams(Texts(texts[:300], truth[:300]), Texts(texts[300:], truth[300:]), 2, lambda _: None)
    with torch.no_grad():
        logits = found.module(*map(torch.from_numpy, ngrams(texts))).numpy()
    assert (logits.argmax(1) == truth).all()
    own = logits[np.arange(300), truth[:300]] - logits[np.arange(300), 1 - truth[:300]]
    forward = found.forward[np.arange(300), truth[:300]] - found.forward[np.arange(300), 1 - truth[:300]]
    assert forward.mean() < own.mean()


def test_buckets_are_the_same_for_ever() -> None:
    """Bundles hold weights by bucket: another hash would make them nonsense."""
    assert ngrams_of("好")[0].tolist() == GOLDEN


GOLDEN = [257737, 459176, 501952, 737421, 816055]
