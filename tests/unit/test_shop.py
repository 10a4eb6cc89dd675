"""The simulated shop: the same for a seed, its hidden tastes hidden, its shoppers' choices as the model says."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from contracts.codec import encode_json
from contracts.dialects.dataset import row_to_event
from contracts.events import CartAdd, Click, Hide, Impression, Purchase, Search, View
from contracts.profile import DAY_MS
from launch.publish import lines_of
from launch.shop.bestsellers import Bestsellers
from launch.shop.choices import chance_of_click, first_click
from launch.shop.files import write_shop
from launch.shop.history import history, make_shoppers
from launch.shop.products import OPENED_MS
from launch.shop.shop import Shop
from launch.shop.shoppers import OWNED, Shopper, Shown
from launch.shop.tastes import RESERVE, Taste, chance

SHOP = Shop.make(0)
EVENTS = tuple(history(SHOP, 1, 30, 10))


def click(item: str, time_ms: int = OPENED_MS) -> Click:
    return Click(event_id=f"{item}-{time_ms}", user_id="u", time_ms=time_ms, item_id=item)


def test_a_thousand_real_looking_products() -> None:
    assert 950 <= len(SHOP.items) <= 1200
    assert len({item.category[0] for item in SHOP.items}) == 12
    assert {len(item.category) for item in SHOP.items} == {2, 3}
    assert all(item.title and item.description and item.price and item.available for item in SHOP.items)
    assert len({item.title for item in SHOP.items}) > 0.9 * len(SHOP.items)
    assert len({item.item_id for item in SHOP.items}) == len(SHOP.items)


def test_variants_share_a_group_and_a_price_but_no_title() -> None:
    sizes = Counter(item.group for item in SHOP.items if item.group)
    assert set(sizes.values()) == {2, 3}
    some = next(iter(sizes))
    variants = [item for item in SHOP.items if item.group == some]
    assert len({item.price for item in variants}) == 1
    assert len({item.title for item in variants}) == len(variants)


def test_the_same_seed_makes_the_same_shop_and_another_another() -> None:
    assert Shop.make(0).items == SHOP.items
    assert Shop.make(1).items != SHOP.items


def test_the_shop_opens_when_it_is_told_to() -> None:
    later = Shop.make(0, OPENED_MS + DAY_MS)
    assert later.items == tuple(replace(item, added_ms=(item.added_ms or 0) + DAY_MS) for item in SHOP.items)


def test_the_same_seed_makes_the_same_history_in_the_order_of_time() -> None:
    assert tuple(history(SHOP, 1, 30, 10)) == EVENTS
    assert tuple(history(SHOP, 2, 30, 10)) != EVENTS
    times = [event.time_ms for event in EVENTS]
    assert times == sorted(times)
    assert OPENED_MS <= times[0] <= times[-1] < OPENED_MS + 10 * DAY_MS
    assert len({event.event_id for event in EVENTS}) == len(EVENTS)


def test_shoppers_do_everything_that_shoppers_do() -> None:
    kinds = Counter(type(event) for event in history(SHOP, 3, 60, 20))
    assert set(kinds) == {Impression, Search, Click, View, CartAdd, Purchase, Hide}
    assert kinds[Impression] > kinds[Click] > kinds[CartAdd] > kinds[Purchase]


def test_tastes_are_in_no_event_and_no_item() -> None:
    fields = {name for event in EVENTS for name in json.loads(encode_json(event))}
    assert fields == {
        "type", "event_id", "user_id", "time_ms", "session_id", "items", "item_id", "position", "price", "query",
        "lines", "order_id",
    }  # fmt: skip
    items = {name for item in SHOP.items for name in json.loads(encode_json(item))}
    assert items == {
        "item_id", "title", "description", "category", "brand", "price", "stock", "group", "added_ms",
    }  # fmt: skip


def test_what_everybody_likes_is_in_no_figure_of_an_item() -> None:
    for figure in ("price", "stock", "added_ms"):
        values = [getattr(item, figure) for item in SHOP.items]
        assert abs(np.corrcoef(SHOP.traits.quality, values)[0, 1]) < 0.1


def test_clicks_follow_the_taste() -> None:
    for shopper in make_shoppers(SHOP, 5, 20):
        appeals = np.array(shopper.appeals(SHOP.ids(np.arange(len(SHOP.items)))))
        loved = next(k.department_code for k in SHOP.shelves if k.department.name == shopper.interest)
        assert appeals[SHOP.traits.department == loved].mean() > 2 * appeals.mean()
        assert shopper.best_chance() > chance_of_click(np.sort(appeals)[:10].tolist())


def test_tastes_drift_but_slowly() -> None:
    rng = np.random.default_rng(0)
    taste = Taste.draw(SHOP.sizes, rng)
    later = taste
    for _ in range(3):
        later = later.drifted(rng)
    assert not np.array_equal(later.departments, taste.departments)
    assert np.corrcoef(later.departments, taste.departments)[0, 1] > 0.8
    assert later.price == taste.price


def test_utilities_have_known_answers() -> None:
    zeros = np.zeros(48)
    taste = Taste(np.array([9.0] + [-9.0] * 11), zeros, np.zeros(8), np.zeros(100), price=0.5)
    traits = SHOP.traits._replace(tier=np.full(len(SHOP.items), 0.5), quality=np.zeros(len(SHOP.items)))
    utility = taste.utility(traits, mission=0)
    loved, mission = traits.department == 0, traits.leaf == 0
    assert utility[mission] == pytest.approx(3.0 + 1.2 + 1.0)
    assert utility[loved & ~mission] == pytest.approx(3.0 + 1.2)
    assert utility[~loved] == pytest.approx(1.2, abs=1e-6)


def test_the_logistic_choice() -> None:
    assert chance(RESERVE) == 0.5
    assert chance(RESERVE + np.log(3)) == pytest.approx(0.75)
    assert chance(-np.inf) == 0.0


def test_the_cascade_has_known_answers() -> None:
    assert chance_of_click([]) == 0.0
    assert chance_of_click([1.0, 1.0]) == 1.0
    assert chance_of_click([0.5, 0.5], patience=0.8) == pytest.approx(0.5 + 0.5 * 0.8 * 0.5)
    rng = np.random.default_rng(0)
    assert first_click([0.0, 1.0], rng, patience=1.0) == 1
    assert first_click([0.0, 1.0], rng, patience=0.0) is None


def test_the_cascade_clicks_as_often_as_it_says() -> None:
    rng, appeals = np.random.default_rng(1), [0.1, 0.3, 0.05]
    clicks = [first_click(appeals, rng) for _ in range(20_000)]
    assert np.mean([at is not None for at in clicks]) == pytest.approx(chance_of_click(appeals), abs=0.01)
    assert np.mean([at == 0 for at in clicks]) == pytest.approx(0.1, abs=0.01)


def test_a_shopper_reacts_to_the_list_that_is_shown_with_its_receipt() -> None:
    shopper = Shopper(SHOP, "u", np.random.default_rng(0))  # type: ignore[arg-type]
    wanted = np.argsort(-np.array(shopper.appeals(SHOP.ids(np.arange(len(SHOP.items))))))[:10]
    shown = Shown(SHOP.ids(wanted), "r1")
    events = [shopper.step(OPENED_MS + at, lambda _: shown) for at in range(400)]
    ours = [e for e in events if isinstance(e, (Impression, Click)) and e.recommendation_id == "r1"]
    clicks = [e for e in ours if isinstance(e, Click)]
    assert clicks
    assert all(shown.items[e.position or 0] == e.item_id for e in clicks)
    assert all(isinstance(e, (Impression, Click, View, CartAdd, Purchase, Search, Hide)) for e in events)


def test_what_was_bought_is_wanted_less() -> None:
    shopper = Shopper(SHOP, "u", np.random.default_rng(0))  # type: ignore[arg-type]
    every = SHOP.ids(np.arange(len(SHOP.items)))
    bought = None
    for at in range(5000):
        event = shopper.step(OPENED_MS + at, lambda _: None)
        if isinstance(event, Purchase):
            bought = event.lines[0].item_id
            break
    assert bought is not None
    appeal = shopper.appeals(every)[SHOP.row_of[bought]]  # type: ignore[index]
    assert appeal < chance(2 * RESERVE - OWNED)


def test_bestsellers_count_what_sells_and_forget() -> None:
    best = Bestsellers(SHOP)
    for event in (click("p0010"), click("p0010"), click("p0020")):
        best.learn(event)
    assert best.top(2) == ("p0010", "p0020")
    for at in range(4):
        best.learn(click("p0020", OPENED_MS + 60 * DAY_MS + at))
    assert best.top(1) == ("p0020",)


def test_bestsellers_show_one_variant_and_nothing_that_is_out_of_stock() -> None:
    variants = [item.item_id for item in SHOP.items if item.group == next(i.group for i in SHOP.items if i.group)]
    items = tuple(replace(item, stock=0) if item.item_id == "p0010" else item for item in SHOP.items)
    best = Bestsellers(Shop(SHOP.offer, items, SHOP.traits))
    for item in (*variants, "p0010", "p0010"):
        best.learn(click(item))
    top = best.top(10)
    assert len(top) == 10
    assert "p0010" not in top
    assert len(set(top) & set(variants)) == 1


def test_the_files_are_the_history_and_the_same_each_time(tmp_path: Path) -> None:
    written = write_shop(tmp_path / "a", SHOP, 1, 30, 10)
    write_shop(tmp_path / "b", SHOP, 1, 30, 10)
    assert (written.events, written.items) == (len(EVENTS), len(SHOP.items))
    for name in ("events.jsonl.gz", "items.jsonl.gz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    rows = lines_of(tmp_path / "a" / "events.jsonl.gz")
    assert tuple(row_to_event(line, at) for at, line in enumerate(rows)) == EVENTS
