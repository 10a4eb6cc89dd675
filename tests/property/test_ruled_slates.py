"""What holds for every slate under any rules: what is hidden never shows, pins hold, a boost never lowers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bundle import tiny_bundle
from tiny_shop import NOW_MS, ask, engine_with, ids_of, item, profile_after, teach, view

from contracts.bundle import Bundle
from contracts.rules import Action, Rule
from inference.rules.book import RuleBook

STOCK = [item(n, stock=n % 4, group=f"g{n // 3}" if n % 2 else None) for n in range(48)]
BY_ID = {each.item_id: each for each in STOCK}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module", params=[0.0, 0.4], ids=["best", "drawn"])
def engine(request: pytest.FixtureRequest, bundle: Bundle):
    engine = engine_with(bundle, STOCK, temperature=request.param)
    teach(engine, [[f"i{(s * 5 + k * k) % 48}" for k in range(8)] for s in range(30)])
    return engine


THINGS = st.sampled_from(["shoe", "lamp", "tea", "tent", "book", "chair"])
WHENS = st.one_of(
    st.builds("'{}' in category".format, THINGS),
    st.builds("price < {}".format, st.integers(9, 18)),
    st.builds("item_id in ['i{}', 'i{}']".format, st.integers(0, 47), st.integers(0, 47)),
    st.builds("age_days >= {} && brand == 'red'".format, st.integers(0, 50)),
)


@st.composite
def rules(draw: st.DrawFn, most: int = 6) -> list[Rule]:
    found = []
    for number in range(draw(st.integers(1, most))):
        action = draw(st.sampled_from(Action))
        factors = {Action.BOOST: st.floats(1.1, 1000), Action.BURY: st.floats(0.001, 0.9)}
        found.append(
            Rule(
                rule_id=f"r{number}", action=action, when=draw(WHENS), factor=draw(factors.get(action, st.none())),
                place=draw(st.integers(1, 10)) if action is Action.PIN else None,
                valid_to_ms=draw(st.sampled_from([None, NOW_MS, NOW_MS + 1])),
            )
        )  # fmt: skip
    return found


def under(engine, some):
    book = RuleBook(engine.table)
    for each in some:
        book.put(book.compile(each))
    return engine.with_rules(book)


def matched(engine, each):
    found = engine.rules.compile(each).matcher.matched(engine.table, NOW_MS // 86_400_000)
    return {engine.table.ids[row] for row in found.nonzero()[0]} if each.in_time(NOW_MS) else set()


pasts = st.lists(st.integers(0, 47), max_size=6)


@settings(deadline=None, max_examples=60)
@given(some=rules(), past=pasts)
def test_slates_hold_under_any_rules(engine, some, past):
    profile = profile_after([view(n, age_ms=60_000 - k) for k, n in enumerate(past)])
    [slate] = under(engine, some).recommend([ask(profile)])
    items = ids_of(slate.items)
    hidden = {item_id for each in some if each.action is Action.HIDE for item_id in matched(engine, each)}
    assert not hidden & set(items)
    assert len(items) == len(set(items)) <= 10
    assert all(BY_ID[each].stock for each in items)
    pinned = [slot for slot in slate.items if any(rule_id in slot.rules for rule_id in _ids(some, Action.PIN))]
    assert all(slot.propensity == 1.0 for slot in pinned)
    for slot in slate.items:
        assert slot.reason
        assert all(slot.item_id in matched(engine, next(r for r in some if r.rule_id == named)) for named in slot.rules)
    for place, each in _first_pins(some).items():
        may = [i for i in matched(engine, each) - hidden if BY_ID[i].stock and i not in profile.history.items]
        alone = sum(r.action is Action.PIN for r in some) == 1
        if may and alone and place <= len(items) and len({BY_ID[i].group or i for i in may}) == len(may):
            assert each.rule_id in slate.items[place - 1].rules


def _ids(some, action):
    return {each.rule_id for each in some if each.action is action}


def _first_pins(some):
    places: dict[int, Rule] = {}
    for each in some:
        if each.action is Action.PIN:
            places.setdefault(each.place, each)
    return places


@settings(deadline=None, max_examples=30)
@given(some=rules(), past=pasts, order=st.randoms())
def test_the_order_of_saving_does_not_matter(engine, some, past, order):
    profile = profile_after([view(n) for n in past])
    other = some[:]
    order.shuffle(other)
    one, two = (under(engine, each).recommend([ask(profile)])[0] for each in (some, other))
    assert (one.items, one.rules, one.degraded) == (two.items, two.rules, two.degraded)


@settings(deadline=None, max_examples=30)
@given(when=WHENS, factor=st.floats(1.1, 1000), past=pasts)
def test_a_boost_never_lowers_and_a_bury_never_raises_the_best_place(bundle, when, factor, past):
    engine = engine_with(bundle, STOCK, category_penalty=0.0, brand_penalty=0.0, new_hours=0.0)
    profile = profile_after([view(n) for n in past])
    [before] = engine.recommend([ask(profile)])
    up = Rule(rule_id="up", action=Action.BOOST, when=when, factor=factor)
    down = Rule(rule_id="down", action=Action.BURY, when=when, factor=1 / factor)
    meant = matched(engine, up)
    lists = [under(engine, some).recommend([ask(profile)])[0] for some in ([up], [], [down])]
    assert lists[1].items == before.items
    places = [min((n for n, each in enumerate(ids_of(slate.items)) if each in meant), default=99) for slate in lists]
    assert places == sorted(places)


@settings(deadline=None, max_examples=20)
@given(past=pasts, other=WHENS)
def test_without_a_rule_in_force_slates_are_what_they_were(engine, past, other):
    asks = [ask(profile_after([view(n) for n in past]))]
    ended = Rule(rule_id="e", action=Action.PIN, when=other, place=1, valid_to_ms=NOW_MS)
    elsewhere = Rule(rule_id="s", action=Action.HIDE, when=other, surfaces=("cart",))
    [plain], [under_none] = engine.recommend(asks), under(engine, [ended, elsewhere]).recommend(asks)
    assert (plain.items, plain.rules, plain.degraded) == (under_none.items, (), under_none.degraded)
    assert plain.recommendation_id == under_none.recommendation_id
