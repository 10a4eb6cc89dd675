"""Rules: what is refused and how, what matches, what a slate becomes, what a merchandiser is warned of."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import tiny_bundle
from tiny_shop import DAY_MS, NOW_MS, ask, engine_with, ids_of, item, profile_after, teach, thing_of, view

from contracts.codec import decode_rule, encode_json
from contracts.errors import BadInput, Oversize, Unacceptable, Unreadable
from contracts.events import ItemId
from contracts.rules import MOST_RULES, Action, Rule, check
from inference.receipt import ALL_HIDDEN
from inference.rules.advice import advice
from inference.rules.book import RuleBook
from inference.rules.expression import FIELDS, Language
from inference.rules.matcher import Matcher
from storefront.asked import KEPT, Asked, remembered

STOCK = [item(n) for n in range(48)]
TODAY = NOW_MS // DAY_MS
PAST = [view(1), view(2)]


@pytest.fixture
def engine():
    engine = engine_with(None, STOCK)
    teach(engine, [[f"i{(s * 5 + k * k) % 48}" for k in range(8)] for s in range(30)])
    return engine


def rule(rule_id="r", action=Action.HIDE, when="true", **more) -> Rule:
    return Rule(rule_id=rule_id, action=action, when=when, **more)


def put(engine, *rules):
    for each in rules:
        engine.rules.put(engine.rules.compile(each))


def slate_of(engine, *events, now_ms=NOW_MS, surface="home"):
    one = ask(profile_after(events or PAST))
    trigger = one.trigger.__class__(
        event_id=one.trigger.event_id, topic="clickstream", partition=0, offset=9, time_ms=now_ms
    )
    return engine.recommend([one._replace(trigger=trigger, surface=surface)])[0]


def shown(engine, *events, **more):
    return ids_of(slate_of(engine, *events, **more).items)


def refusal(engine, when):
    with pytest.raises(Unacceptable) as refused:
        engine.rules.compile(rule(when=when))
    return str(refused.value)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("price > ", "line 1, column 9: Syntax error"),
        ("colour == 'red'", "line 1, column 1: undeclared reference to 'colour'"),
        ("price > 5 &&\n colour == 'red'", "line 2, column 2: undeclared reference to 'colour'"),
        ("'é' == brand || colour", "line 1, column 17: undeclared"),
        ("brand > 5", "line 1, column 7: found no matching overload"),
        ("price * 2 > 5", "write whole numbers in arithmetic with a point: 2.0"),
        ("price > 'x'", "column 7: found no matching overload"),
        ("price", "it gives a double; it must be true or false"),
        ("", "Syntax error"),
        ("attributes.all(a, attributes.exists(b, a == b))", "a loop inside a loop"),
        ("attributes . all (a, attributes\n.exists(b, a == b))", "a loop inside a loop"),
        ("&&".join(["attributes.all(a, true)"] * 9), "more than 8 loops"),
        ("(" * 1000 + "true" + ")" * 1000, "recursion limit"),
        ("title == '\ud800'", "when:"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_place(engine, when, said):
    message = refusal(engine, when)
    assert said in message
    assert len(message) < 1500
    if "column" in message:
        assert all(name in message for name in FIELDS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": Action.BOOST}, "factor: a boost needs one above 1"),
        ({"action": Action.BOOST, "factor": 0.5}, "factor"),
        ({"action": Action.BURY, "factor": 2.0}, "factor: a bury needs one above 0 and below 1"),
        ({"action": Action.HIDE, "factor": 2.0}, "factor: a hide has none"),
        ({"action": Action.PIN}, "place: a pin needs one"),
        ({"action": Action.HIDE, "place": 1}, "place: a hide has none"),
        ({"valid_from_ms": 5, "valid_to_ms": 5}, "valid_to_ms"),
    ],
)
def test_a_rule_says_what_it_lacks(fields, said):
    with pytest.raises(Unacceptable, match=said):
        check(rule(**fields))


def test_limits_of_a_rule_on_its_topic():
    assert decode_rule(encode_json(rule(surfaces=("home",)))) == rule(surfaces=("home",))
    with pytest.raises(Unreadable, match="when"):
        decode_rule(encode_json(rule(when="x" * 10_000)))
    with pytest.raises(Oversize):
        decode_rule(b" " * 30_000)
    for wrong in (b'{"rule_id": "a b", "action": "hide", "when": "true"}', b"{}", b"[", b"\xff",
                  b'{"rule_id": "a", "action": "hide", "when": "true", "plase": 3}'):  # fmt: skip
        with pytest.raises(Unreadable):
            decode_rule(wrong)


@given(st.text(max_size=60) | st.text(alphabet="aprice<>=!&|()[]'\"0. \\\n?:{}", max_size=60))
def test_any_text_is_an_expression_or_is_refused(when):
    language = Language()
    with suppress(BadInput):
        assert language.compile(when).matches(item(3), TODAY) in (True, False, None)


@pytest.mark.parametrize(
    ("when", "matched"),
    [
        ("item_id == 'i3'", {3}),
        ("'shoe' in category", {n for n in range(48) if n % 6 == 0}),
        ("brand == 'red' && price < 12", {n for n in range(48) if n % 3 == 0 and n % 7 < 2}),
        ("title.matches('(?i)^SHOE 1?2$')", {12}),
        ("age_days < 3", {0, 1, 2}),
        ("attributes.exists(a, a.startsWith('wool'))", set()),
        ("!(price < 1000)", set()),
        ("stock == 5 && available", set(range(48))),
        ("category[7] == 'x'", set()),
        ("'all' in category && category[1] in ['tea', 'tent'] && age_days <= 9.0", {2, 3, 8, 9}),
    ],
)
def test_what_an_expression_matches(engine, when, matched):
    found = engine.rules.compile(rule(when=when)).matcher.matched(engine.table, TODAY)
    assert {int(engine.table.ids[row][1:]) for row in found.nonzero()[0]} == matched


def test_what_a_shop_does_not_say_is_neither_above_nor_below(engine):
    expression = Language().compile("price < 10 || price >= 10 || stock > 0 || age_days >= 0")
    assert expression.matches(item(1, price=None, stock=None, added_ms=None), TODAY) is False


def test_masks_follow_the_catalogue_and_the_day(engine):
    cheap = Matcher(Language().compile("price < 11"))
    young = Matcher(Language().compile("age_days < 1"))
    assert cheap.matched(engine.table, TODAY).sum() == len([n for n in range(48) if n % 7 == 0])
    engine.upsert(item(1, price=1.0))
    engine.upsert(item(7, price=99.0))
    engine.delete(ItemId("i14"))
    engine.upsert(item(500, price=2.0))
    engine.table.set_vector(ItemId("later"), engine.table.vectors[0])
    by_id = dict(zip(engine.table.ids, cheap.matched(engine.table, TODAY).tolist(), strict=True))
    assert (by_id["i1"], by_id["i7"], by_id["i14"], by_id["i500"], by_id["later"]) == (True, False, False, True, False)
    assert [int(young.matched(engine.table, day).sum()) for day in (TODAY, TODAY + 1, TODAY)] == [1, 0, 1]


def test_judging_a_large_catalogue_goes_a_little_at_a_time(engine):
    for number in range(1000, 2000):
        engine.upsert(item(number, title=f"thing {number}"))
    ruled, turns = engine.rules.compile(rule(when="title.contains('thing 1')")), 1
    while not engine.rules.catch_up(ruled, NOW_MS, 0.0):
        turns += 1
    assert turns > 3
    assert ruled.matcher.matched(engine.table, TODAY).sum() == 1000


def test_hide_hides_and_says_so(engine):
    gone = shown(engine)[0]
    put(engine, rule(when=f"item_id == '{gone}'"))
    slate = slate_of(engine)
    assert gone not in ids_of(slate.items)
    assert [(each.rule_id, each.action, each.items) for each in slate.rules] == [("r", Action.HIDE, 1)]


def test_a_rule_that_hides_everything_leaves_an_empty_slate_with_its_reason(engine):
    put(engine, rule(when="true"))
    slate = slate_of(engine)
    assert (slate.items, slate.degraded) == ((), ALL_HIDDEN)
    assert "it hides every item: slates will be empty" in advice(
        RuleBook(engine.table), engine.rules.compile(rule(when="true")), NOW_MS, 10
    )


def test_a_sibling_stands_in_for_a_hidden_variant():
    engine = engine_with(None, [item(n, group=f"g{n // 2}") for n in range(20)])
    first = shown(engine)[0]
    put(engine, rule(when=f"item_id == '{first}'"))
    sibling = f"i{int(first[1:]) ^ 1}"
    assert sibling in ids_of(engine.recommend([ask(profile_after(PAST), limit=20)])[0].items)


def test_boost_and_bury_multiply(engine):
    last, first = shown(engine)[-1], shown(engine)[0]
    put(engine, rule("up", Action.BOOST, f"item_id == '{last}'", factor=100.0))
    put(engine, rule("down", Action.BURY, f"item_id == '{first}'", factor=0.001))
    slate = slate_of(engine)
    assert slate.items[0].item_id == last
    assert slate.items[0].rules == ("up",)
    assert "raised by the shop's rule up" in slate.items[0].reason
    assert first not in ids_of(slate.items)[:5]


def test_a_pin_brings_its_item_in_whatever_was_proposed(tmp_path):
    bundle = tiny_bundle(tmp_path)
    for made in (engine_with(bundle, STOCK, per_source=3), engine_with(None, STOCK, per_source=3)):
        stranger = next(each.item_id for each in reversed(STOCK) if each.item_id not in shown(made))
        put(made, rule("pinned", Action.PIN, f"item_id == '{stranger}'", place=3))
        slate = slate_of(made)
        assert slate.items[2].item_id == stranger
        assert (slate.items[2].rules, slate.items[2].propensity) == (("pinned",), 1.0)
        assert "placed here by the shop's rule pinned" in slate.items[2].reason


def test_what_a_pin_brings_in_stands_at_its_place_alone(engine):
    before = shown(engine)
    put(engine, rule("tents", Action.PIN, "'tent' in category", place=1))
    after = shown(engine)
    assert thing_of(after[0]) == "tent"
    assert [each for each in after[1:] if each not in before] == []


def test_pins_of_one_place_stand_in_the_order_of_their_ids(engine):
    put(engine, rule("b", Action.PIN, "item_id == 'i20'", place=2), rule("a", Action.PIN, "item_id == 'i21'", place=2))
    put(engine, rule("c", Action.PIN, "item_id == 'i22'", place=3))
    assert shown(engine)[1:4] == ["i21", "i20", "i22"]


def test_hiding_wins_over_a_pin_and_what_cannot_be_sold_is_not_pinned(engine):
    put(engine, rule("p", Action.PIN, "item_id in ['i20', 'i21']", place=1), rule("h", when="item_id == 'i20'"))
    assert shown(engine)[0] == "i21"
    engine.upsert(item(21, stock=0))
    assert not {"i20", "i21"} & set(shown(engine))


def test_a_rule_has_its_time_and_its_surfaces(engine):
    put(engine, rule(valid_from_ms=NOW_MS, valid_to_ms=NOW_MS + 10, surfaces=("home", "cart")))
    found = [bool(shown(engine, now_ms=NOW_MS + after)) for after in (-1, 0, 9, 10)]
    assert found == [True, False, False, True]
    assert shown(engine, surface="product")
    assert engine.rules.turned_ms(NOW_MS - 1) == 0
    assert (engine.rules.turned_ms(NOW_MS), engine.rules.turned_ms(NOW_MS + 99)) == (NOW_MS, NOW_MS + 10)


def test_each_of_a_batch_has_the_rules_of_its_own_moment(engine):
    put(engine, rule("old", when="age_days > 20"), rule("late", when="'shoe' in category", valid_from_ms=NOW_MS + 1))
    one, profile = ask(profile_after(PAST)), profile_after(PAST)
    later = one.trigger.__class__(event_id="f", topic="t", partition=0, offset=1, time_ms=NOW_MS + 9 * DAY_MS)
    first, second = engine.recommend([one, ask(profile)._replace(trigger=later)])
    assert max(int(each[1:]) for each in ids_of(first.items)) <= 20
    assert max(int(each[1:]) for each in ids_of(second.items)) <= 11
    assert "shoe" not in set(map(thing_of, ids_of(second.items)))


def test_a_refused_rule_takes_the_old_one_out_and_the_list_is_bounded(engine):
    put(engine, rule(when="true"))
    engine.rules.refuse("r", "no")
    assert shown(engine)
    assert engine.rules.refused == {"r": "no"}
    put(engine, rule(when="false"))
    assert not engine.rules.refused
    for number in range(2 * MOST_RULES):
        engine.rules.refuse(f"x{number}", "no")
    assert len(engine.rules.refused) == MOST_RULES
    put(engine, *(rule(f"n{number}", when="false") for number in range(MOST_RULES - 1)))
    with pytest.raises(Unacceptable, match="100 rules already"):
        engine.rules.admit(rule("one-more"))
    engine.rules.admit(rule("r", when="true"))
    put(engine, rule("one-more", when="true"))  # saved by others: in force, as for a worker that starts later
    assert not shown(engine)


def warned(engine, *others, tried):
    put(engine, *others)
    return advice(engine.rules, engine.rules.compile(tried), NOW_MS, 10)


@pytest.mark.parametrize(
    ("others", "tried", "said"),
    [
        ((), rule(when="brand == 'nobody'"), "it matches no item of the catalogue"),
        ((), rule("b", Action.BOOST, "true", factor=2.0), "it matches every item that is in stock"),
        ((), rule(when="category[7] == 'x'"), "it fails for 48 items"),
        ((), rule(valid_to_ms=5), "its time is over"),
        ((), rule(valid_from_ms=NOW_MS + 5), "its time has not begun"),
        ((), rule("p", Action.PIN, "item_id == 'i1'", place=11), "place 11 is beyond the 10 places"),
        ((rule("a", Action.PIN, "item_id == 'i1'", place=2),), rule("b", Action.PIN, "item_id == 'i2'", place=2),
         "in conflict with a over place 2: a has it, b the next one that is free"),
        ((rule("h", when="'shoe' in category"),), rule("p", Action.PIN, "item_id in ['i0', 'i1']", place=1),
         "in conflict with h over 1 items: h hides them, and hiding wins"),
        ((rule("u", Action.BOOST, "'shoe' in category", factor=2.0),),
         rule("d", Action.BURY, "item_id == 'i0'", factor=0.5), "one boosts, one buries"),
    ],
)  # fmt: skip
def test_what_a_merchandiser_is_warned_of(engine, others, tried, said):
    assert any(said in each for each in warned(engine, *others, tried=tried))


def test_what_was_asked_is_kept_newest_first_and_a_forgotten_shopper_is_gone():
    asked = Asked()
    for number in range(KEPT + 5):
        asked.note(ask(profile_after(PAST, f"u{number % 7}"), f"e{number}"))
    assert len(asked.last()) == KEPT
    asked.forget("u3")
    assert {each.profile.user_id for each in asked.last()} == {f"u{n}" for n in range(7)} - {"u3"}
    profile = profile_after(PAST, "s")
    slate = msgspec.structs.replace(engine_with(None, STOCK).recommend([ask(profile)])[0], profile_version=2)
    erased = msgspec.structs.replace(profile, erased_ms=NOW_MS)
    for found, exact in (
        (profile, [True]),
        (msgspec.structs.replace(profile, version=9), [False]),
        (erased, []),
        (None, []),
    ):
        assert [each.exact for each in remembered([], [slate], [found])] == exact


def test_rules_that_never_meet_are_in_no_conflict(engine):
    home = rule("h", when="'shoe' in category", surfaces=("home",))
    assert not warned(engine, home, tried=rule("p", Action.PIN, "item_id == 'i0'", place=1, surfaces=("cart",)))
    early = rule("e", when="'tea' in category", valid_to_ms=NOW_MS + 5)
    assert len(warned(engine, early, tried=rule("p", Action.PIN, "item_id == 'i2'", place=1))) == 1
    late = rule("p", Action.PIN, "item_id == 'i2'", place=1, valid_from_ms=NOW_MS + 5)
    assert warned(engine, tried=late) == ["its time has not begun; this is what it would have changed"]
