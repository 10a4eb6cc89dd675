"""Terms, their inverted index, and what both do when the catalogue changes."""

import numpy as np
import pytest
from tiny_shop import item

from contracts.events import ItemId
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from contracts.postings import ANCHORS, Postings
from contracts.terms import TERMS, Terms, alike, closest, terms_of

EVEN = np.ones((1, 2), np.float32)


def shelf(*items: CatalogueItem) -> ItemTable:
    """A catalogue of these items."""
    table = ItemTable(4)
    for each in items:
        table.upsert(each)
    return table


def titled(item_id: str, title: str, **more: object) -> CatalogueItem:
    """An item with a title."""
    return CatalogueItem(item_id=item_id, title=title, **more)  # type: ignore[arg-type]


def likeness(table: ItemTable, one: int, other: int) -> float:
    """The cosine of two rows' terms."""
    recent, candidates = np.array([[one, -1]], np.int32), np.array([[other]], np.int32)
    return float(alike(table.terms, recent, candidates, EVEN)[0, 0, 0])


def test_an_item_is_wholly_like_itself_and_not_at_all_like_a_stranger() -> None:
    table = shelf(titled("a", "red shoe"), titled("b", "blue pan"), titled("c", "red pan"))
    assert likeness(table, 0, 0) == pytest.approx(1.0)
    assert likeness(table, 0, 1) == 0.0
    assert 0.0 < likeness(table, 0, 2) < 1.0


def test_a_rare_word_says_more_than_a_common_one() -> None:
    table = shelf(
        *(titled(f"c{n}", f"shoe number{n}") for n in range(20)), titled("x", "shoe opal"), titled("y", "opal")
    )
    assert likeness(table, 20, 21) > likeness(table, 20, 0) > 0.0


def test_chinese_words_are_pairs_of_neighbours() -> None:
    table = shelf(titled("a", "红色连衣裙"), titled("b", "连衣裙 夏季"), titled("c", "保温杯"))
    assert likeness(table, 0, 1) > 0.0
    assert likeness(table, 0, 2) == 0.0


def test_category_brand_and_attributes_are_terms_and_no_more_of_them_than_that() -> None:
    full = CatalogueItem(item_id="i", title=" ".join(f"w{n}" for n in range(TERMS)), category=("a", "b"), brand="c",
                         attributes=("d",))  # fmt: skip
    assert len(terms_of(full)) == TERMS
    bare = CatalogueItem(item_id="j", category=("a", "b"), brand="c", attributes=("d",))
    assert terms_of(full)[:4] == terms_of(bare)
    assert terms_of(CatalogueItem(item_id="k")) == []


def test_a_new_title_and_a_deletion_change_what_is_alike() -> None:
    table = shelf(titled("a", "red shoe"), titled("b", "red pan"))
    table.upsert(titled("b", "green pan"))
    assert likeness(table, 0, 1) == 0.0
    table.delete(ItemId("a"))
    assert likeness(table, 0, 0) == 0.0
    assert table.terms.frequency.sum() == 3  # green, pan, and green once more, as a brand


def test_the_index_gives_what_the_cosines_give() -> None:
    items = [item(number) for number in range(40)]
    table, rng = shelf(*items), np.random.default_rng(0)
    recent = rng.integers(-1, 40, (6, ANCHORS)).astype(np.int32)
    weights = np.linspace(1.0, 0.2, ANCHORS).astype(np.float32)
    every = np.tile(np.arange(40, dtype=np.int32), (6, 1))
    found = Postings(table).scores(recent, weights)
    np.testing.assert_allclose(found, alike(table.terms, recent, every, weights[None])[..., 0], atol=1e-5)


def test_the_index_is_made_again_when_much_has_changed() -> None:
    table = shelf(*(titled(f"c{n}", f"pan number{n}") for n in range(10)))
    postings, last = Postings(table), np.array([[0]], np.int32)
    assert postings.scores(last, np.ones(1, np.float32))[0, 1] > 0.0
    table.upsert(titled("c1", "a hat"))
    assert postings.scores(last, np.ones(1, np.float32))[0, 1] == 0.0


def test_items_have_as_many_terms_as_they_need() -> None:
    tags = tuple(f"tag{n}" for n in range(60))
    table = shelf(*(CatalogueItem(item_id=f"i{n}", attributes=(tag,)) for n, tag in enumerate(tags)))
    table.upsert(CatalogueItem(item_id="all", attributes=tags))
    assert all(likeness(table, row, 60) == pytest.approx(60**-0.5, rel=1e-4) for row in range(60))


def test_terms_that_change_over_and_over_take_no_more_room() -> None:
    terms, rng = Terms(), np.random.default_rng(0)
    for _ in range(3000):
        terms.put(int(rng.integers(40)), titled("i", " ".join(f"w{n}" for n in rng.integers(0, 90, rng.integers(9)))))
    kept = [titled("i", " ".join(f"w{n}" for n in range(row % 7))) for row in range(40)]
    for row, each in enumerate(kept):
        terms.put(row, each)
    found = terms.of(np.arange(-1, 41, dtype=np.int32))
    assert [sorted(run) for run in np.split(found.buckets, np.cumsum(found.lengths)[:-1])] == [
        [], *(sorted(terms_of(each)) for each in kept), []
    ]  # fmt: skip
    assert terms.frequency.sum() == len(found.buckets)
    assert terms._runs.columns[0].size <= 1024


def test_a_new_price_changes_no_word() -> None:
    table = shelf(titled("a", "red shoe", price=1.0), titled("b", "red pan"))
    before = table.terms.changes
    table.upsert(titled("a", "red shoe", price=2.0))
    assert table.terms.changes == before
    table.upsert(titled("a", "green shoe", price=2.0))
    assert table.terms.changes == before + 1


def test_an_empty_catalogue_has_nothing_alike() -> None:
    table = ItemTable(4)
    none = np.full((2, 2), -1, np.int32)
    assert not alike(table.terms, none, none, EVEN).any()


def test_the_closest_of_the_last_items_is_the_reason() -> None:
    table = shelf(titled("a", "red shoe"), titled("b", "steel pan"), titled("c", "steel pot"))
    recent = np.array([[0, 1]], np.int32)
    assert closest(table.terms, recent, np.array([2], np.int32)).tolist() == [1]


def test_where_no_brand_is_named_the_first_word_stands_for_it() -> None:
    named = CatalogueItem(item_id="a", title="Soap", brand="opi")
    worded = CatalogueItem(item_id="b", title="OPI nail lacquer")
    assert set(terms_of(named)) & set(terms_of(worded))
    assert not set(terms_of(named)) & set(terms_of(CatalogueItem(item_id="c", title="opi nail", brand="essie")))
    chinese = [terms_of(CatalogueItem(item_id=i, title=title)) for i, title in (("d", "红色连衣裙"), ("e", "红色外套"))]
    assert len(set(chinese[0]) & set(chinese[1])) == 1, "words that nothing parts have no first one"
