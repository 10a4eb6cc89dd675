"""The features against a slow reference, one shopper and one candidate at a time, and their independence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_shop import DAY_MS, NOW_MS, item, profile_after

from contracts.events import CartAdd, CartRemove, Hide, Impression, ItemId, Line, Purchase, UserId, View
from contracts.features import FEATURES, GAP_BUCKETS, candidate_features, gap_buckets, histories
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from contracts.profile import Profile
from contracts.statistics import REFUSALS, Decay, Increments, Statistics
from contracts.terms import terms_of

ITEMS = [item(n, **({} if n % 5 else {"title": "", "category": (), "brand": "", "price": None})) for n in range(24)]
UNKNOWN = "unknown"


def events(user):
    numbers = st.integers(0, 25)  # 24 and 25 are in no catalogue

    def make(kind, number, age, serial):
        base = {"event_id": f"{user}{serial}", "user_id": user, "time_ms": NOW_MS - age}
        name = f"i{number}" if number < 24 else UNKNOWN
        if kind is Purchase:
            return Purchase(**base, lines=(Line(item_id=name),))
        if kind is Impression:
            return Impression(**base, items=(name, "i0"))
        return kind(**base, item_id=name)

    one = st.builds(
        make,
        st.sampled_from([View, CartAdd, CartRemove, Hide, Purchase, Impression]),
        numbers,
        st.integers(-1000, 90 * DAY_MS),
        st.integers(0, 10**9),
    )
    return st.lists(one, max_size=25)


def shop(text_dim=6, delta_dim=2):
    table, rng = ItemTable(text_dim + delta_dim, text_dim, capacity=1), np.random.default_rng(3)
    for each in ITEMS:
        table.upsert(each)
        vector = rng.normal(size=text_dim + delta_dim).astype(np.float32)
        vector[:text_dim] *= bool(each.title) / np.linalg.norm(vector[:text_dim])
        table.set_vector(ItemId(each.item_id), vector)
    return table


def taught(table, neighbours=50):
    statistics, increments, rng = (
        Statistics(table, neighbours=neighbours),
        Increments(Decay()),
        np.random.default_rng(4),
    )
    for shopper in range(20):
        past = []
        for serial in range(6):
            name, age = f"i{rng.integers(0, 24)}", int(rng.integers(0, 40 * DAY_MS))
            event = View(event_id=f"{shopper}.{serial}", user_id="t", time_ms=NOW_MS - age, item_id=name)
            increments.learn(profile_after(past, "t"), event)
            past.append(event)
    statistics.add(increments)
    return statistics, increments


TABLE = shop()
STATISTICS, TAUGHT = taught(TABLE)


def reference(profile: Profile, now: int, number: int) -> dict[str, float]:
    """The columns' meaning, with no arrays."""
    name, me = f"i{number}", ITEMS[number]
    recent = [r for r in all_recent(profile) if r != UNKNOWN]
    # unknown items keep no place: the kernel runs over the known ones' own places
    places = [p for p, r in enumerate(all_recent(profile)) if r != UNKNOWN]
    deflate = 2.0 ** -((now - Decay().landmark_ms) / Decay().half_life_ms)
    met = [t for i, t in zip(profile.history.items, profile.history.times_ms, strict=True) if i == name]
    bought = dict(zip(profile.bought.items, profile.bought.times_ms, strict=True))
    age = lambda t, unit: math.exp(-min(50.0, max(0.0, (now - t) / unit)))  # noqa: E731
    return {
        **together(name, recent, places, deflate),
        **words(me, recent, places),
        "trend": math.log1p(TAUGHT.trend[name] * deflate),
        "last_met": max([age(t, DAY_MS) for t in met], default=0.0),
        "times_met": math.log1p(len(met)),
        "bought": age(bought[name], 30 * DAY_MS) if name in bought else 0.0,
        "shown": math.log1p(profile.shown.count(name)),
        "in_cart": float(name in profile.cart),
        "newness": age(me.added_ms, 14 * DAY_MS),
    }  # fmt: skip


def together(name: str, recent: list[str], places: list[int], deflate: float) -> dict[str, float]:
    after = [TAUGHT.pairs[r][name] * deflate for r in recent]
    before = [TAUGHT.pairs[name][r] * deflate for r in recent]
    popular = [math.sqrt((TAUGHT.trend[name] * deflate + 5.0) * (TAUGHT.trend[r] * deflate + 5.0)) for r in recent]
    return {
        "co_occurrence": sum(0.6**p * math.log1p(a) for p, a in zip(places, after, strict=True)),
        "co_occurrence_even": sum(0.97**p * math.log1p(a) for p, a in zip(places, after, strict=True)),
        "co_occurrence_last": sum(math.log1p(a) for p, a in zip(places, after, strict=True) if p == 0),
        "preceded": sum(0.6**p * math.log1p(b) for p, b in zip(places, before, strict=True)),
        "co_occurrence_cosine": sum(
            0.97**p * (a + b) / root for p, a, b, root in zip(places, after, before, popular, strict=True)
        ),
    }


def words(me: CatalogueItem, recent: list[str], places: list[int]) -> dict[str, float]:
    near = [term_cosine(me, ITEMS[int(r[1:])]) for r in recent]
    return {
        "words_recent": sum(0.6**p * n for p, n in zip(places, near, strict=True)),
        "words_even": sum(0.97**p * n for p, n in zip(places, near, strict=True)),
        "words_last": sum(n for p, n in zip(places, near, strict=True) if p == 0),
    }


def term_cosine(one: CatalogueItem, other: CatalogueItem) -> float:
    mine, theirs = set(terms_of(one)), set(terms_of(other))
    size = sum(bool(terms_of(i)) for i in ITEMS)
    weight = lambda t: math.log((1 + size) / sum(t in terms_of(i) for i in ITEMS))  # noqa: E731
    length = math.prod(math.sqrt(sum(weight(t) ** 2 for t in terms)) for terms in (mine, theirs))
    return sum(weight(t) ** 2 for t in mine & theirs) / length if length else 0.0


def all_recent(profile):
    found = []
    for past, kind in zip(reversed(profile.history.items), reversed(profile.history.kinds), strict=True):
        if kind not in REFUSALS and past not in found:
            found.append(past)
    return found[:10]


@given(events("a"), st.integers(0, 23), st.integers(0, DAY_MS))
def test_every_column_equals_the_slow_reference(past, number, later):
    profile, now = profile_after(past, "a"), NOW_MS + later
    rows = np.array([[number]], np.int32)
    found = candidate_features(TABLE, STATISTICS, [profile], np.array([now]), rows)[0, 0]
    expected = reference(profile, now, number)
    assert dict(zip(FEATURES, found.tolist(), strict=True)) == pytest.approx(expected, abs=2e-5, rel=2e-5)


@given(st.lists(events("a"), min_size=1, max_size=5), st.permutations(range(24)), st.randoms())
def test_a_shoppers_values_depend_on_nobody_else_in_the_batch(pasts, order, random):
    profiles = [profile_after(past, "a") for past in pasts]
    nows = np.array([NOW_MS + random.randrange(400 * DAY_MS) for _ in profiles])
    rows = np.array([[*order, -1, -1]] * len(profiles), np.int32)
    whole = candidate_features(TABLE, STATISTICS, profiles, nows, rows)
    for b, profile in enumerate(profiles):
        alone = candidate_features(TABLE, STATISTICS, [profile], nows[b : b + 1], rows[b : b + 1])
        assert np.array_equal(whole[b], alone[0])
    sorted_rows = np.sort(rows, axis=1)
    again = candidate_features(TABLE, STATISTICS, profiles, nows, sorted_rows)
    np.testing.assert_allclose(again[:, 2:], whole[:, np.argsort(order)], atol=1e-6)


@given(events("a"))
def test_padding_is_zero_and_every_value_is_finite(past):
    rows = np.array([[-1, 0, -1, 5, 10]], np.int32)
    found = candidate_features(TABLE, STATISTICS, [profile_after(past, "a")], np.array([NOW_MS]), rows)
    assert np.isfinite(found).all()
    assert not found[0, [0, 2]].any()


def test_an_empty_catalogue_has_features_too():
    table = ItemTable(4)
    found = candidate_features(
        table, Statistics(table), [Profile(UserId("u"))], np.array([NOW_MS]), np.full((1, 3), -1, np.int32)
    )
    assert found.shape == (1, 3, len(FEATURES))
    assert not found.any()


@given(st.integers(-(10**12), 10**14))
def test_a_gap_bucket_is_the_whole_log2_of_the_seconds(age):
    [bucket] = gap_buckets(np.array([age]))
    seconds = max(0, age) // 1000
    assert bucket == min(GAP_BUCKETS - 1, (1 + seconds).bit_length() - 1)


@given(events("a"), events("b"), st.integers(1, 30))
def test_histories_are_the_last_events_the_newest_at_the_end(one, other, limit):
    profiles = [profile_after(one, "a"), profile_after(other, "b")]
    found = histories(TABLE, profiles, np.array([NOW_MS, NOW_MS]), limit)
    width = found.rows.shape[1]
    assert width == max(1, *(min(limit, len(p.history.items)) for p in profiles))
    for b, profile in enumerate(profiles):
        names, kinds = profile.history.items[-width:], profile.history.kinds[-width:]
        pad = width - len(names)
        assert found.kinds[b].tolist() == [0] * pad + list(kinds)
        assert found.rows[b].tolist() == [-1] * pad + [TABLE.row_of.get(n, -1) for n in names]
