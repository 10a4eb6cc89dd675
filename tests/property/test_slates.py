"""What holds for every slate: filters, finite scores, propensities, and independence of who else is in the batch."""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_bundle import tiny_bundle
from tiny_shop import NOW_MS, ask, engine_with, ids_of, item, profile_after, teach, view

from contracts.bundle import Bundle
from contracts.events import CartAdd, Click, Hide, Line, Purchase
from contracts.items import ItemTable
from contracts.settings import EngineSettings
from inference.ask import View as Batch
from inference.merge import first_seen, merge
from inference.nearest import nearest, top_rows
from inference.selectors.diverse import Diverse
from inference.selectors.newcomer import HOUR_MS, Newcomer

STOCK = [item(n, stock=n % 4, group=f"g{n // 3}" if n % 2 else None) for n in range(48)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module", params=[0.0, 0.4], ids=["best", "drawn"])
def engine(request: pytest.FixtureRequest, bundle: Bundle):
    engine = engine_with(bundle, STOCK, temperature=request.param)
    teach(engine, [[f"i{(s * 5 + k * k) % 48}" for k in range(8)] for s in range(30)])
    return engine


class Did(NamedTuple):
    kind: type
    number: int


def shopper(user, deeds):
    events = []
    for serial, (kind, number) in enumerate(deeds):
        base = {"event_id": f"{user}{serial}", "user_id": user, "time_ms": NOW_MS - 1000 * (len(deeds) - serial)}
        about = {"lines": (Line(item_id=f"i{number}"),)} if kind is Purchase else {"item_id": f"i{number}"}
        events.append(kind(**base, **about))
    return profile_after(events, user)


deeds = st.lists(st.builds(Did, st.sampled_from([Click, CartAdd, Hide, Purchase]), st.integers(0, 50)), max_size=20)


@settings(deadline=None, max_examples=40)
@given(past=deeds)
def test_the_filters_hold(engine, past):
    profile = shopper("u", past)
    [slate] = engine.recommend([ask(profile)])
    shown = ids_of(slate.items)
    assert len(shown) == len(set(shown))
    assert not set(shown) & {*profile.hidden, *profile.cart, *profile.bought.items}
    assert not set(shown) & set(list(dict.fromkeys(reversed(profile.history.items)))[:5])
    by_id = {each.item_id: each for each in STOCK}
    assert all(by_id[i].stock for i in shown)
    groups = Counter(by_id[i].group for i in shown if by_id[i].group)
    assert not groups or max(groups.values()) == 1
    assert all(math.isfinite(i.score) and 0 < i.propensity <= 1 and i.reason for i in slate.items)


@settings(deadline=None, max_examples=25)
@given(pasts=st.lists(deeds, min_size=2, max_size=6), swap=st.randoms())
def test_the_others_in_the_batch_do_not_change_a_slate(engine, pasts, swap):
    asks = [ask(shopper(f"u{n}", past), f"e{n}") for n, past in enumerate(pasts)]
    order = list(range(len(asks)))
    swap.shuffle(order)
    together = engine.recommend([asks[n] for n in order])
    for place, n in enumerate(order):
        [alone] = engine.recommend([asks[n]])
        assert ids_of(together[place].items) == ids_of(alone.items)
        assert [i.source for i in together[place].items] == [i.source for i in alone.items]
        for one, other in zip(together[place].items, alone.items, strict=True):
            assert (one.score, one.propensity) == pytest.approx((other.score, other.propensity), rel=1e-5)
        assert together[place].recommendation_id == alone.recommendation_id


def test_without_temperature_the_propensity_is_one(bundle):
    [slate] = engine_with(bundle, STOCK).recommend([ask(profile_after([view(0)]))])
    assert {i.propensity for i in slate.items} == {1.0}


def batch(ids, categories=None):
    table = ItemTable(1)
    for number in range(8):
        table.upsert(item(number, category=(categories or {}).get(number, ()), brand=""))
    return Batch([ask(profile_after([]))] * len(ids), ids, table, None, None)


def select(values, ids, size=3, categories=None, **changed):
    rows = np.tile(np.arange(values.shape[1], dtype=np.int32), (len(values), 1))
    chosen = EngineSettings(**{"category_penalty": 0.0, "brand_penalty": 0.0, **changed})
    return Diverse(chosen).select(batch(ids, categories), rows, values, size)


worths = arrays(np.float64, (2, 8), elements=st.floats(0, 10) | st.sampled_from([math.nan, math.inf, -math.inf]))


@given(worths, st.sampled_from([0.0, 0.1, 1.0, 10.0]))
def test_what_has_no_finite_value_is_never_drawn_and_everything_else_is(values, temperature):
    found = select(values, ["aa", "bb"], 8, temperature=temperature)
    for picks, chances, worth in zip(found.picks, found.propensities, values, strict=True):
        drawn = picks[picks >= 0]
        assert sorted(drawn) == np.flatnonzero(np.isfinite(worth)).tolist()
        assert ((chances[picks >= 0] > 0) & (chances[picks >= 0] <= 1 + 1e-12)).all()
        assert not chances[picks < 0].any()


@given(arrays(np.float64, (1, 8), elements=st.floats(0.001, 10)))
def test_greedy_is_the_order_of_the_values(values):
    picks = select(values, ["aa"], 8).picks[0]
    assert picks.tolist() == np.argsort(-values[0], kind="stable").tolist()


def test_the_probability_written_is_the_one_drawn_with():
    values, rounds = np.array([[4.0, 2.0, 1.0, 1.0]]), 4000
    found = select(np.repeat(values, rounds, axis=0), [f"{n:032x}" for n in range(rounds)], 1, temperature=1.0)
    for column, share in enumerate([0.5, 0.25, 0.125, 0.125]):
        drawn = found.picks[:, 0] == column
        assert found.propensities[drawn, 0] == pytest.approx(share)
        assert drawn.mean() == pytest.approx(share, abs=0.04)


def test_the_probabilities_of_the_next_slot_are_over_what_is_left():
    values = np.repeat(np.array([[4.0, 2.0, 1.0, 1.0]]), 50, axis=0)
    found = select(values, [f"{n:032x}" for n in range(50)], 2, temperature=1.0)
    for (first, second), chances in zip(found.picks, found.propensities, strict=True):
        assert chances[1] == pytest.approx(values[0, second] / (8.0 - values[0, first]))


def test_each_one_of_a_category_costs_the_next_one_some():
    values = np.array([[1.0, 0.99, 0.98, 0.5]])
    same = {0: ("a",), 1: ("a",), 2: ("b",), 3: ("c",)}
    assert select(values, ["aa"], 4, same, category_penalty=0.1).picks[0].tolist() == [0, 2, 1, 3]
    assert select(values, ["aa"], 4, same, category_penalty=1.0).picks[0].tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize(
    ("hours_old", "picks"),
    [((1, None), [0, 1, 6]), ((30, 40), [0, 1, 2]), ((-1, None), [0, 1, 6]), ((None, 3), [0, 1, 7])],
)
def test_the_last_place_is_for_the_best_of_what_is_new(hours_old, picks):
    table = ItemTable(1)
    added = [None] * 6 + list(hours_old)
    for number, hours in enumerate(added):
        table.upsert(item(number, added_ms=None if hours is None else NOW_MS - hours * HOUR_MS))
    view_of_one = Batch([ask(profile_after([]))], ["aa"], table, None, None)
    chosen = EngineSettings(category_penalty=0.0, brand_penalty=0.0)
    values = 8.0 - np.arange(8.0)[None, :]
    rows = np.arange(8, dtype=np.int32)[None, :]
    assert Newcomer(Diverse(chosen), chosen).select(view_of_one, rows, values, 3).picks[0].tolist() == picks
    none = chosen.model_copy(update={"new_hours": 0.0})
    assert Newcomer(Diverse(none), none).select(view_of_one, rows, values, 3).picks[0].tolist() == [0, 1, 2]
    first = Newcomer(Diverse(chosen), chosen).select(view_of_one, rows, values[:, ::-1], 3).picks[0].tolist()
    assert first[:2] == [7, 6], "a new item that earned its place takes nobody else's"


def test_each_page_of_a_long_slate_has_a_place_for_what_is_new():
    table = ItemTable(1)
    for number in range(12):
        table.upsert(item(number, added_ms=NOW_MS if number in (5, 9, 11) else None))
    view_of_one = Batch([ask(profile_after([]))], ["aa"], table, None, None)
    chosen = EngineSettings(category_penalty=0.0, brand_penalty=0.0, slate_size=3)
    values, rows = 12.0 - np.arange(12.0)[None, :], np.arange(12, dtype=np.int32)[None, :]
    found = Newcomer(Diverse(chosen), chosen).select(view_of_one, rows, values, 9)
    assert found.picks[0].tolist() == [0, 1, 5, 3, 4, 9, 6, 7, 11], "5 and 2 changed places, then 9 took that of 2"
    assert found.propensities[0, [2, 5, 8]].tolist() == [1.0, 1.0, 1.0]


@given(st.lists(arrays(np.int32, st.tuples(st.just(3), st.integers(0, 6)), elements=st.integers(-1, 9)), min_size=1))
def test_merging_takes_turns_and_keeps_each_item_where_it_stood_best(proposed):
    merged = merge(proposed).first(1000)
    for shopper_, (rows, sources) in enumerate(zip(merged.rows, merged.sources, strict=True)):
        expected = {}
        for rank in range(6):
            for number, rows_of in enumerate(proposed):
                row = rows_of[shopper_, rank] if rank < rows_of.shape[1] else -1
                if row >= 0:
                    expected.setdefault(row, number)
        known = rows >= 0
        assert list(zip(rows[known], sources[known], strict=True)) == list(expected.items())


@given(arrays(np.int32, (2, 9), elements=st.integers(-1, 4)))
def test_first_seen_marks_each_value_once_at_its_first_place(values):
    for line, marks in zip(values, first_seen(values), strict=True):
        assert np.flatnonzero(marks).tolist() == sorted({v: list(line).index(v) for v in line}.values())


@given(arrays(np.float32, (3, 40), elements=st.floats(-5, 5, width=32)), st.integers(1, 50))
def test_top_rows_are_the_best_in_order(scores, limit):
    found = top_rows(scores, limit)
    best = -np.sort(-scores, axis=1)[:, :limit]
    np.testing.assert_array_equal(np.take_along_axis(scores, found.astype(np.int64), axis=1), best)


def test_top_rows_of_a_large_catalogue_are_exact_too():
    rng = np.random.default_rng(0)
    for rows in (8192, 10_007, 30_001):
        scores = rng.normal(size=(5, rows)).astype(np.float32)
        scores[rng.random(scores.shape) < 0.3] = -np.inf
        np.testing.assert_array_equal(top_rows(scores, 40), np.argsort(-scores, axis=1, kind="stable")[:, :40])


def test_nearest_takes_only_what_is_allowed_and_nothing_for_a_query_that_is_no_number():
    vectors, rng = np.eye(6, dtype=np.float32), np.random.default_rng(1)
    queries = np.vstack([rng.random((70, 6)).astype(np.float32), np.full((1, 6), np.nan, np.float32)])
    found = nearest(queries, vectors, np.arange(6) % 2 == 0, 4)
    assert found.shape == (71, 4)
    assert found[70].tolist() == [-1] * 4
    for query, rows in zip(queries[:70], found, strict=False):
        assert rows.tolist() == [*sorted([0, 2, 4], key=lambda r: -query[r]), -1]
