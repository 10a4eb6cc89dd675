"""The catalogue's arrays: rows that stay true, growth, deletion, codes."""

import numpy as np
import pytest
from tiny_shop import item

from contracts.events import ItemId
from contracts.items import ItemTable, text_digest, text_of
from contracts.messages import CatalogueItem


@pytest.fixture
def table():
    table = ItemTable(3, 2, capacity=1)
    for number in range(40):
        table.upsert(item(number, price=None if number % 2 else 5.0))
        table.set_vector(ItemId(f"i{number}"), np.full(3, number, np.float32))
    return table


def test_arrays_grow_and_keep_what_was_in_them(table):
    assert (len(table), table.count, table.ids[39]) == (40, 40, "i39")
    assert table.vectors[:, 0].tolist() == list(range(40))
    assert table.text_vectors.shape == (40, 2)
    assert table.text_lengths == pytest.approx(np.arange(40) * np.sqrt(2))
    assert np.isnan(table.prices).tolist() == [bool(n % 2) for n in range(40)]


def test_a_deleted_item_is_unknown_and_comes_back_to_its_row(table):
    table.delete(ItemId("i7"))
    table.delete(ItemId("never there"))
    assert table.rows([ItemId("i6"), ItemId("i7"), ItemId("x")]).tolist() == [6, -1, -1]
    assert (ItemId("i7") in table, table.available[7], table.count) == (False, False, 39)
    table.upsert(item(7))
    assert table.rows([ItemId("i7")]).tolist() == [7]
    assert table.vectors[7].tolist() == [7.0] * 3


def test_a_vector_may_come_before_its_item():
    table = ItemTable(2)
    table.set_vector(ItemId("early"), np.ones(2, np.float32))
    assert table.rows([ItemId("early")]).tolist() == [-1]
    assert not table.available.any()
    table.upsert(CatalogueItem(item_id="early", title="x"))
    assert table.rows([ItemId("early")]).tolist() == [0]
    assert table.has_vector.tolist() == [True]


def test_an_empty_table_answers_too():
    table = ItemTable(2)
    assert table.rows([ItemId("x")]).tolist() == [-1]
    assert table.rows([]).tolist() == []
    assert table.keys_of([["x"], []]).tolist() == [-1]


def test_keys_tell_shoppers_and_rows_apart(table):
    rows = np.array([[1, -1], [1, 39]], np.int32)
    assert table.keys(rows).tolist() == [[1, -1], [41, 79]]
    assert table.keys_of([["i1", "x"], ["i1", "i39"]]).tolist() == [1, -1, 41, 79]


def test_categories_are_paths_from_the_widest_down():
    table = ItemTable(1)
    for number, path in enumerate([("a", "x"), ("b", "x"), ("a", "x", "y", "z"), (), ("a",)]):
        table.upsert(CatalogueItem(item_id=str(number), category=path))
    codes = table.categories
    assert codes[0, 0] == codes[2, 0] == codes[4, 0] != codes[1, 0]
    assert codes[0, 1] == codes[2, 1] != codes[1, 1]
    assert not codes[3].any()
    assert table.narrowest.tolist() == [codes[0, 1], codes[1, 1], codes[2, 2], 0, codes[4, 0]]


def test_a_brand_and_a_group_of_one_name_are_not_the_same():
    table = ItemTable(1)
    table.upsert(CatalogueItem(item_id="1", brand="same", group="same", category=("same",)))
    assert len({table.brands[0], table.groups[0], table.narrowest[0]}) == 3


def test_the_text_leaves_out_what_is_blank():
    assert text_of(CatalogueItem(item_id="1", title=" ", description="warm ", category=("a", "b"))) == "a > b. warm"
    assert text_of(CatalogueItem(item_id="1", title="\n")) == ""
    described = CatalogueItem(item_id="1", title="jug", attributes=("steel", "1 l"), description="keeps warm")
    assert text_of(described) == "jug. steel, 1 l. keeps warm"


def test_price_and_stock_do_not_change_the_texts_digest():
    assert text_digest(item(1)) == text_digest(item(1, price=99.0, stock=0))
    assert text_digest(item(1)) != text_digest(item(1, description="new"))
