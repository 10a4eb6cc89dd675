"""Click rates: intervals that cover as often as they say, and words that do not say more than the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.arms import arm_shown
from contracts.events import Click, Consent, Forget, Impression, RecommendationId
from contracts.messages import Slate, Trigger
from evaluation.click_rates import Rate, conclusion, difference, ratio, wilson
from storefront.ledger import HOUR_MS, Ledger

OURS = "ab" * 16
T = 1_767_225_600_000


def close(found: float | None, wanted: float) -> bool:
    return found == pytest.approx(wanted, abs=6e-4)


def test_wilson_and_newcombe_agree_with_the_published_examples() -> None:
    """Newcombe 1998: 81 of 263 in Table I; 56/70 against 48/80 (a) and 9/10 against 3/10 (b) in Table II, method 10."""
    found = wilson(81 / 263, 263)
    assert close(found.low, 0.2553)
    assert close(found.high, 0.3662)
    for ours, theirs, low, high in ((56 / 70, 48 / 80, 0.0524, 0.3339), (0.9, 0.3, 0.1705, 0.8090)):
        count = (70, 80) if low < 0.1 else (10, 10)
        between = difference(wilson(ours, count[0]), wilson(theirs, count[1]))
        assert close(between.low, low), between
        assert close(between.high, high), between


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_an_interval_holds_its_figure(n: int, m: int, data: st.DataObject) -> None:
    a, b = wilson(data.draw(st.integers(0, n)) / n, n), wilson(data.draw(st.integers(0, m)) / m, m)
    for each in (a, b, difference(a, b), ratio(a, b)):
        if each is not None:
            assert each.low <= each.value + 1e-12
            assert each.high is None or each.value <= each.high + 1e-12
    assert (ratio(a, b) is None) == (b.value == 0)


def test_intervals_cover_the_truth_though_lists_of_one_shopper_are_alike() -> None:
    """300 experiments of 60 and 40 shoppers with rates of their own; independent lists would cover far too seldom."""
    rng, held, naive = np.random.default_rng(0), np.zeros(3), 0
    for _ in range(300):
        arms, means = [], (0.30, 0.20)
        for shoppers, mean in zip((60, 40), means, strict=True):
            rates = rng.beta(2 * mean, 2 * (1 - mean), shoppers)
            shown = rng.geometric(1 / 15, shoppers)
            arms.append(Rate.of(shown.tolist(), rng.binomial(shown, rates).tolist()))
        ours, theirs = (arm.interval for arm in arms)
        for number, (found, true) in enumerate(
            ((ours, 0.3), (difference(ours, theirs), 0.1), (ratio(ours, theirs), 1.5))
        ):
            held[number] += found is not None and found.low <= true <= (found.high or np.inf)
        plain = wilson(ours.value, arms[0].lists)
        naive += plain.low <= 0.3 <= (plain.high or 1)
    assert (held / 300 > 0.90).all(), held / 300
    assert naive / 300 < 0.75


def test_little_data_is_called_little() -> None:
    few, many = Rate.of([5], [1]), Rate.of([10] * 200, [3] * 100 + [4] * 100)
    assert "Too little data to compare (control)" in conclusion(many, few)
    assert "Too little data to compare (daogou and control)" in conclusion(few, Rate.of([], []))
    worse = Rate.of([10] * 200, [1] * 100 + [2] * 100)
    assert "more often" in conclusion(many, worse)
    assert "less often" in conclusion(worse, many)
    assert "No difference" in conclusion(many, many)


def test_one_shopper_who_looks_a_thousand_times_is_one_shopper() -> None:
    assert Rate.of([1000], [400]).interval.low < 0.1
    assert Rate.of([0, 0], [0, 0]).interval == (0.0, 0.0, 1.0)


def shown(user: str, receipt: str | None) -> Impression:
    return Impression(event_id="e", user_id=user, time_ms=T, items=("a", "b"), recommendation_id=receipt)


def click(user: str, receipt: str | None) -> Click:
    return Click(event_id="e", user_id=user, time_ms=T, item_id="a", recommendation_id=receipt)


def counts(ledger: Ledger) -> dict[str, tuple[int, int, int]]:
    return {each.arm: (each.lists, each.clicked, each.shoppers) for each in ledger.rates().arms}


def test_the_receipt_says_whose_list_it_was() -> None:
    assert (arm_shown(OURS, None), arm_shown("bestsellers-7", None)) == ("daogou", "control")
    assert arm_shown(OURS + "\n", None) == "control"
    slate = Slate(
        recommendation_id=RecommendationId("x"), user_id="u", surface="home", items=(), profile_version=1, bundle=None,
        trigger=Trigger(event_id="e", topic="t", partition=0, offset=0, time_ms=T), arm="trial",
    )  # fmt: skip
    ledger = Ledger(lambda name: slate if name == "x" else None)
    ledger.take(shown("u", "x"), T)
    assert counts(ledger)["trial"] == (1, 0, 1)


def test_a_click_counts_once_for_the_last_showing_of_its_list() -> None:
    ledger = Ledger(lambda _: None)
    for event in (
        shown("u", OURS), click("u", OURS), click("u", OURS), shown("u", OURS), click("u", OURS),
        shown("v", OURS), shown("v", "bestsellers-1"), click("v", "bestsellers-1"), click("w", OURS),
        shown("u", None), click("u", None),
    ):  # fmt: skip
        ledger.take(event, T)
    assert counts(ledger) == {"daogou": (3, 2, 2), "control": (1, 1, 1)}
    assert ledger.rates().unknown_clicks == 1


def test_an_hour_is_kept_and_no_more_lists_than_there_is_room_for() -> None:
    ledger = Ledger(lambda _: None, most=100)
    for n in range(1000):
        ledger.take(shown(f"u{n}", OURS), T + n)
        ledger.take(click(f"u{n}", OURS), T + n)
    assert counts(ledger)["daogou"] == (100, 100, 100)
    assert len(ledger._last) == 100
    ledger.take(shown("late", "c-1"), T + 2 * HOUR_MS)
    assert counts(ledger) == {"daogou": (0, 0, 0), "control": (1, 0, 1)}
    ledger.take(click("u999", OURS), T + 2 * HOUR_MS)
    assert ledger.rates().unknown_clicks == 1


@pytest.mark.parametrize("erasing", [
    Forget(event_id="f", user_id="u", time_ms=T), Consent(event_id="f", user_id="u", time_ms=T, granted=False),
])  # fmt: skip
def test_who_is_forgotten_is_taken_out(erasing: Forget | Consent) -> None:
    ledger = Ledger(lambda _: None)
    for event in (shown("u", OURS), click("u", OURS), shown("v", OURS), erasing, shown("u", OURS)):
        ledger.take(event, T)
    assert counts(ledger)["daogou"] == (2, 0, 2)
    assert "u" not in {each.user for each in list(ledger._lists)[:2]}
    ledger.take(shown("late", "c-1"), T + 2 * HOUR_MS)
    assert counts(ledger)["daogou"] == (0, 0, 0)
