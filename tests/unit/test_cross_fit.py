"""Leave-one-out examples: whose counts are in them, and who judges."""

from collections import Counter

import numpy as np
import pytest
from msgspec.structs import replace

from contracts.events import Click, ItemId
from contracts.features import FEATURES
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from contracts.statistics import Increments, Statistics
from training.cross_fit import LAST, CrossFit, folded, judging, put
from training.lists import Lists

START = 1_700_000_000_000
SHOPPERS = 40
LENGTH = 6


def catalogue() -> ItemTable:
    """Thirty items without words in common."""
    table = ItemTable(4)
    for number in range(30):
        table.upsert(CatalogueItem(item_id=f"i{number}", title=f"thing{number}"))
        table.set_vector(ItemId(f"i{number}"), np.eye(4, dtype=np.float32)[number % 4])
    return table


def walks() -> list[Click]:
    """Each shopper goes along the items from a place of their own; one alone ever meets item 29 after item 28."""
    events = [
        Click(event_id=f"{u}-{n}", user_id=f"u{u}", time_ms=START + n * 1000, item_id=f"i{(u + n) % 28}")
        for u in range(SHOPPERS)
        for n in range(LENGTH)
    ]
    alone = [Click(event_id=f"a{n}", user_id="alone", time_ms=START + n * 1000, item_id=f"i{28 + n}") for n in (0, 1)]
    return [*events, *alone]


def crossed() -> CrossFit:
    return CrossFit(Lists(catalogue(), 9, 10, 4, 0), walks(), 0.25, 0)


def test_no_example_has_seen_its_own_shopper() -> None:
    co = FEATURES.index("co_occurrence")
    for _, batch in crossed().run():
        alone, counted = batch.candidates[:, 0] == 29, batch.features[:, 0, FEATURES.index("trend")] > 0.0
        assert not batch.features[alone, 0, co].any()  # only their own walk would tell
        assert batch.features[~alone & counted, 0, co].all()  # the others' walks tell


def test_to_who_teaches_some_items_are_new_and_to_who_judges_none() -> None:
    trend, new = FEATURES.index("trend"), list[set[int]]()
    for check, batch in crossed().run():
        there = (batch.candidates >= 0) & (batch.candidates < 28)  # those that everybody meets
        found = set(batch.candidates[there & (batch.features[..., trend] == 0.0)].tolist())
        if check:
            assert not found
        else:
            new.append(found)
    assert any(new)
    assert not set.intersection(*new), "an item is new to one fold only"


def test_everybody_is_asked_for_their_last_events() -> None:
    asked = Counter[bool]()
    for check, batch in crossed().run():
        asked[check] += len(batch.heads)
    judges, taught = round(0.25 * (SHOPPERS + 1)), LENGTH - 1  # so few shoppers are asked for all they did
    alone = (SHOPPERS - judges) * taught + 1, judges * LAST  # one shopper has one event to be asked for
    assert (asked[False], asked[True]) in (alone, ((SHOPPERS - judges + 1) * taught, (judges - 1) * LAST + 1))


@pytest.mark.parametrize(
    ("shoppers", "share"), [(0, 0.2), (10, 0.2), (4_000, 2_000 / 12_000), (6_667, 0.1), (10**6, 0.1)]
)
def test_where_shoppers_are_few_more_of_them_judge(shoppers: int, share: float) -> None:
    assert judging(shoppers, 0.1) == pytest.approx(share, rel=1e-3)
    assert judging(shoppers, 0.25) == 0.25


def test_what_folds_taught_adds_up_to_what_all_taught() -> None:
    table, events = catalogue(), [event for event in walks() if event.user_id in ("u1", "u2", "u3")]
    parts = [Increments(Statistics(table).decay) for _ in range(2)]
    whole = Statistics(table)
    for number, user in enumerate(("u1", "u2", "u3")):
        one = Increments(whole.decay)
        for before, event in folded([event for event in events if event.user_id == user]):
            one.learn(before, event)
            parts[number % 2].learn(before, event)
        whole.add(one)
    summed = Statistics(table)
    put(summed, parts)
    rows, now = np.arange(30, dtype=np.int32)[None], np.array([START])
    np.testing.assert_allclose(summed.trend(rows, now), whole.trend(rows, now))
    for one, other in zip(summed.between(rows, rows, now), whole.between(rows, rows, now), strict=True):
        np.testing.assert_allclose(one, other)


def test_times_are_put_aside() -> None:
    """A log of years and one of seconds teach the same, as they are the same to who evaluates leave-one-out."""
    slow = [replace(event, time_ms=START + 30 * (event.time_ms - START) * 86_400) for event in walks()]
    again = CrossFit(Lists(catalogue(), 9, 10, 4, 0), slow, 0.25, 0)
    for (_, one), (_, other) in zip(crossed().run(), again.run(), strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.history.gaps, other.history.gaps)


def test_the_same_seed_gives_the_same_examples() -> None:
    for (check, one), (again, other) in zip(crossed().run(), crossed().run(), strict=True):
        assert check == again
        np.testing.assert_array_equal(one.candidates, other.candidates)
        np.testing.assert_array_equal(one.features, other.features)
