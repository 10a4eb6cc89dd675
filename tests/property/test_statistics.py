"""The shared counts: the same however they are summed, exact against a slow reference, and each shopper's own now."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tiny_shop import DAY_MS, NOW_MS, item, profile_after, view

from contracts.events import Consent, Hide
from contracts.items import ItemTable
from contracts.neighbours import Neighbours
from contracts.statistics import (
    LEAST_CLOSE,
    LESSON,
    WINDOW,
    Decay,
    Increments,
    Statistics,
    close,
    kernel,
    look_up,
    recent_items,
    summed,
)

NAMES = [f"i{n}" for n in range(12)]
sequences = st.lists(st.lists(st.sampled_from([*NAMES, "unknown"]), max_size=8), max_size=6)


def table_of_items():
    table = ItemTable(1)
    for number in range(12):
        table.upsert(item(number))
    return table


def learned(shoppers):
    lessons = []
    for shopper, names in enumerate(shoppers):
        past = []
        for serial, name in enumerate(names):
            increments = Increments(Decay())
            event = view(serial, f"s{shopper}", (100 - serial) * DAY_MS // 50, name)
            increments.learn(profile_after(past, f"s{shopper}"), event)
            past.append(event)
            lessons.append(increments)
    return lessons


def sums(lessons):
    pairs, trend = defaultdict(float), defaultdict(float)
    for lesson in lessons:
        for name, weight in lesson.trend.items():
            trend[name] += weight
        for name, followers in lesson.pairs.items():
            for follower, weight in followers.items():
                pairs[name, follower] += weight
    return pairs, trend


@given(sequences, st.integers(1, 3))
def test_counts_equal_the_reference_and_only_the_strongest_followers_are_kept(shoppers, neighbours):
    table = table_of_items()
    statistics, lessons = Statistics(table, neighbours=neighbours), learned(shoppers)
    for lesson in lessons:
        statistics.add(lesson)
    pairs, trend = sums(lessons)
    assert statistics.trending().tolist() == pytest.approx([trend[n] for n in NAMES])
    deflate = Decay().deflate(np.array([NOW_MS]))[0]
    for row, name in enumerate(NAMES):
        keys, scores = statistics.followers(np.array([[row]], np.int32), np.ones(1), np.array([NOW_MS]))
        known = sorted((w for (a, b), w in pairs.items() if a == name and b in NAMES), reverse=True)[:neighbours]
        assert sorted(scores, reverse=True) == pytest.approx([math.log1p(w * deflate) for w in known])
        for key, score in zip(keys, scores, strict=True):
            assert score == pytest.approx(math.log1p(pairs[name, NAMES[key]] * deflate))


@given(sequences)
def test_put_and_add_agree(shoppers):
    table, lessons = table_of_items(), learned(shoppers)
    added, put = Statistics(table), Statistics(table)
    for lesson in lessons:
        added.add(lesson)
    pairs, trend = sums(lessons)
    put.put_followers((name, [(b, w) for (a, b), w in pairs.items() if a == name]) for name in NAMES)
    put.put_trend(trend.items(), NOW_MS)
    rows, nows = np.arange(12, dtype=np.int32)[None, :], np.array([NOW_MS])
    for read in (Statistics.followers, Statistics.preceders):
        one, other = (read(statistics, rows, kernel(12), nows) for statistics in (added, put))
        assert np.array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1])
    np.testing.assert_allclose(added.trend(rows, nows), put.trend(rows, nows))


@given(sequences, st.lists(st.integers(0, 400 * DAY_MS), min_size=2, max_size=2))
def test_each_shopper_has_a_now_of_their_own(shoppers, later):
    table = table_of_items()
    statistics = Statistics(table)
    for lesson in learned(shoppers):
        statistics.add(lesson)
    rows, nows = np.array([[0, 1, -1], [2, 0, 1]], np.int32), NOW_MS + np.array(later)
    keys, scores = statistics.followers(rows, kernel(3), nows)
    trend = statistics.trend(rows, nows)
    for b in range(2):
        alone_keys, alone = statistics.followers(rows[b : b + 1], kernel(3), nows[b : b + 1])
        assert np.array_equal(scores[keys // 12 == b], alone)
        assert np.array_equal(keys[keys // 12 == b] % 12, alone_keys)
        assert np.array_equal(trend[b], statistics.trend(rows[b : b + 1], nows[b : b + 1])[0])


@given(sequences)
def test_preceders_are_followers_read_backwards(shoppers):
    statistics = Statistics(table_of_items())
    for lesson in learned(shoppers):
        statistics.add(lesson)
    every, one, nows = np.arange(12, dtype=np.int32)[:, None], np.ones(1), np.full(12, NOW_MS)
    after = {divmod(key, 12): score for key, score in zip(*statistics.followers(every, one, nows), strict=True)}
    before = {divmod(key, 12): score for key, score in zip(*statistics.preceders(every, one, nows), strict=True)}
    assert before == {(follower, item): score for (item, follower), score in after.items()}


def test_what_was_met_in_one_go_goes_together_more():
    soon, late, never = (Increments(Decay()) for _ in range(3))
    soon.learn(profile_after([view(1, "u", 1000)]), view(2, "u", 0))
    late.learn(profile_after([view(1, "u", DAY_MS)]), view(2, "u", 0))
    never.learn(profile_after([view(1, "u", 1000)]), replace(view(2, "u", 0), item_id="i1"))
    weights = [increments.pairs["i1"]["i2"] / Decay().inflate(NOW_MS) for increments in (soon, late)]
    assert weights == pytest.approx([close(1000), LEAST_CLOSE])
    assert not never.pairs


def test_the_strongest_leader_is_named():
    table = table_of_items()
    statistics = Statistics(table)
    statistics.put_followers([("i1", [("i5", 2.0)]), ("i2", [("i5", 3.0), ("i6", 1.0)])])
    recent = np.array([[1, 2, -1], [1, -1, -1], [3, 1, 2]], np.int32)
    assert statistics.strongest(recent, np.array([5, 6, 6], np.int32)).tolist() == [2, -1, 2]
    assert statistics.strongest_after(np.array([[5, 6, -1]], np.int32), np.array([2], np.int32)).tolist() == [5]


def test_an_item_that_comes_later_has_room():
    table = table_of_items()
    statistics = Statistics(table)
    statistics.put_trend([("i1", 1.0)], NOW_MS)
    for number in range(12, 3000):
        table.upsert(item(number))
    statistics.put_trend([("i2999", 2.0)], NOW_MS)
    assert (statistics.trending()[2999], len(statistics.trending())) == (2.0, 3000)


def test_more_of_the_last_items_learn_what_came_than_say_what_comes():
    past = [view(number, item_id=f"i{number}") for number in range(LESSON + 5)]
    increments = Increments(Decay())
    increments.learn(profile_after(past), view(LESSON + 5, item_id="new"))
    assert set(increments.pairs) == {f"i{number}" for number in range(5, LESSON + 5)}
    assert len(recent_items(profile_after(past))) == WINDOW < LESSON


@given(
    st.lists(st.tuples(st.integers(0, 5), st.dictionaries(st.integers(0, 9), st.floats(0.1, 9)))),
    st.integers(1, 4),
)
def test_neighbours_are_the_strongest_of_what_grew(steps, width):
    neighbours, reference = Neighbours(width), defaultdict(dict)
    neighbours.fit(10)
    for row, grown in steps:
        before, counts = dict(reference[row]), reference[row]
        for other, weight in grown.items():
            counts[other] = max(weight, counts.get(other, 0.0))
        reference[row] = dict(sorted(counts.items(), key=lambda count: (-count[1], count[0]))[:width])
        assert set(neighbours.raised(row, grown)) == reference[row].items() - before.items()
    lengths, to, weights = neighbours.beside(np.arange(-1, 10, dtype=np.int32))
    found = zip(np.repeat(np.arange(-1, 10), lengths).tolist(), to.tolist(), weights.tolist(), strict=True)
    expected = {(row, *count) for row, counts in reference.items() for count in counts.items()}
    assert sorted(found) == sorted(expected)


def test_who_said_no_teaches_nothing():
    refused = profile_after([Consent(event_id="c", user_id="u", time_ms=1, granted=False)])
    increments = Increments(Decay())
    increments.learn(refused, view(1))
    assert not increments


def test_the_last_items_are_distinct_newest_first_and_wanted():
    hide = Hide(event_id="h", user_id="u", time_ms=NOW_MS, item_id="i9")
    again = view(4, item_id="i1")
    profile = profile_after([view(1), view(2), view(3), again, hide])
    assert recent_items(profile) == ["i1", "i3", "i2"]
    assert recent_items(profile, 1) == ["i1"]


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 10)), max_size=30), st.lists(st.integers(-2, 12)))
def test_summed_and_looked_up_equal_a_dict(pairs, wanted):
    expected = defaultdict(float)
    for key, value in pairs:
        expected[key] += value
    keys, values = summed(np.array([k for k, _ in pairs], np.int64), np.array([v for _, v in pairs], float))
    found = look_up(keys, values, np.array(wanted, np.int64))
    assert found.tolist() == pytest.approx([expected.get(w, 0.0) for w in wanted])
