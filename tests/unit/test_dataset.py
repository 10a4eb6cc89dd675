"""Rows of public data sets as events and items. The rows here are made up, in the columns of each set."""

import gzip
import json
from pathlib import Path

import pytest

from contracts.codec import decode_event, encode_json
from contracts.dialects.dataset import (
    UNTIMED_MS,
    UNTIMED_STEP_MS,
    event_to_row,
    item_to_row,
    row_to_event,
    row_to_item,
    untimed,
)
from contracts.errors import BadInput, Reason, Unacceptable, Unreadable
from contracts.events import (
    CartAdd,
    Click,
    Consent,
    Hide,
    Impression,
    Line,
    Purchase,
    Refund,
    Review,
    Search,
    View,
)
from contracts.messages import MOST_ATTRIBUTES, CatalogueItem

SHARED = Path(__file__).parents[3] / "shared" / "data"


def row(**columns: object) -> bytes:
    return json.dumps({"user_id": "u1", "item_id": "i1", "timestamp": 1_500_000_000, "value": None} | columns).encode()


def test_clickstream_rows() -> None:
    view = row_to_event(row(event_type="view"), 0)
    assert isinstance(view, View)
    assert (view.user_id, view.item_id, view.time_ms) == ("u1", "i1", 1_500_000_000_000)
    assert isinstance(row_to_event(row(event_type="add_to_cart"), 0), CartAdd)
    bought = row_to_event(row(event_type="purchase"), 0)
    assert isinstance(bought, Purchase)
    assert bought.lines == (Line(item_id="i1"),)


def test_invoice_rows() -> None:
    money = {"value": 15.3, "quantity": 6, "unit_price": 2.55, "order_id": "536365", "country": "United Kingdom"}
    bought = row_to_event(row(event_type="purchase", **money), 0)
    assert isinstance(bought, Purchase)
    assert bought.order_id == "536365"
    assert bought.lines == (Line(item_id="i1", quantity=6, price=2.55),)
    back = row_to_event(row(event_type="return", **(money | {"quantity": -6, "value": -15.3})), 0)
    assert isinstance(back, Refund)
    assert back.lines == (Line(item_id="i1", quantity=6, price=2.55),)


def test_a_price_comes_from_the_row_total_where_no_unit_price_is() -> None:
    bought = row_to_event(row(event_type="purchase", value=23.54, quantity=2), 0)
    assert isinstance(bought, Purchase)
    assert bought.lines[0].price == pytest.approx(11.77)


def test_reviews_without_times_get_made_up_ones_and_say_so() -> None:
    first, second = (row_to_event(row(event_type="review", timestamp=None, seq=seq), 9) for seq in (0, 1))
    assert isinstance(first, Review)
    assert first.rating is None
    assert (first.time_ms, second.time_ms) == (UNTIMED_MS, UNTIMED_MS + UNTIMED_STEP_MS)
    assert untimed(first)
    assert not untimed(row_to_event(row(event_type="review"), 0))


def test_an_order_may_be_of_the_whole_file() -> None:
    late, later = (row_to_event(row(event_type="review", timestamp=None, seq=seq), 9) for seq in (100_001, 10**12))
    assert UNTIMED_MS < late.time_ms < later.time_ms
    with pytest.raises(Unreadable, match=r"\$\.seq"):
        row_to_event(row(event_type="review", timestamp=None, seq=-1), 9)


def test_ratings_with_words() -> None:
    told = row_to_event(row(event_type="rating", value=4.0, title="Good", text="Fits well.", verified=True), 0)
    assert isinstance(told, Review)
    assert (told.rating, told.text) == (4.0, "Good. Fits well.")


def test_lists_searches_and_receipts() -> None:
    shown = row_to_event(row(event_type="impression", item_id="", items=["a", "b"], recommendation_id="r"), 0)
    assert isinstance(shown, Impression)
    assert (shown.items, shown.recommendation_id) == (("a", "b"), "r")
    asked = row_to_event(row(event_type="search", item_id="", query="linen dress"), 0)
    assert isinstance(asked, Search)
    assert asked.query == "linen dress"
    clicked = row_to_event(row(event_type="click", recommendation_id="r", position=3, session_id="s"), 0)
    assert isinstance(clicked, Click)
    assert (clicked.recommendation_id, clicked.position, clicked.session_id) == ("r", 3, "s")


def test_a_canonical_event_is_read_as_it_is() -> None:
    event = Hide(event_id="e", user_id="u", time_ms=1_600_000_000_000, item_id="i")
    assert row_to_event(encode_json(event), 5) == event


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(event_type="view", user_id=""), Reason.NO_USER),
        (row(event_type="adjustment"), Reason.NOT_APPLICABLE),
        (row(event_type="teleport"), Reason.UNKNOWN_TYPE),
        (row(event_type="view", item_id=""), Reason.INVALID_FIELD),
        (row(event_type="view", item_id="a\nb"), Reason.INVALID_FIELD),
        (row(event_type="view", timestamp="yesterday"), Reason.INVALID_FIELD),
        (row(event_type="purchase", unit_price=-1.0), Reason.INVALID_FIELD),
        (row(event_type="review", value=6.0), Reason.INVALID_FIELD),
        (b"{", Reason.NOT_JSON),
        (b"", Reason.NOT_JSON),
        (b"[]", Reason.INVALID_FIELD),
        (b'{"event_type": "view", "user_id": "\xff"}', Reason.NOT_UTF8),
    ],
)
def test_what_is_no_event_is_refused_with_its_reason(bad: bytes, reason: Reason) -> None:
    with pytest.raises(BadInput) as refusal:
        row_to_event(bad, 0)
    assert refusal.value.reason is reason


def test_ids_are_the_same_each_time_and_equal_lines_are_two_events() -> None:
    line = row(event_type="purchase")
    assert row_to_event(line, 7) == row_to_event(line, 7)
    assert row_to_event(line, 7).event_id != row_to_event(line, 8).event_id


def test_items() -> None:
    full = row_to_item(
        b'{"item_id":"i","title":"T","category":"Beauty > Nails","brand":"","description":"","price":null}'
    )
    assert full == CatalogueItem(item_id="i", title="T", category=("Beauty", "Nails"))
    assert row_to_item(b'{"item_id": "7", "attributes": [1, 2]}') == CatalogueItem(item_id="7", attributes=("1", "2"))
    crowded = row_to_item(b'{"item_id": "7", "attributes": %s}' % str([*range(90), 80, 3, 80]).encode())
    assert (crowded.attributes[:4], len(crowded.attributes)) == (("80", "3", "0", "1"), MOST_ATTRIBUTES)
    assert row_to_item(encode_json(full)) == full
    with pytest.raises(Unreadable):
        row_to_item(b'{"title": "no id"}')


def test_rows_give_back_what_they_were_written_from() -> None:
    event = Purchase(
        event_id="e", user_id="u", time_ms=1_600_000_000_123, session_id="s", order_id="o",
        lines=(Line(item_id="a", quantity=2, price=3.5), Line(item_id="b")),
    )  # fmt: skip
    assert row_to_event(event_to_row(event), 0) == event
    item = CatalogueItem(
        item_id="i", title="T", category=("A", "B"), price=2.0, stock=0, group="g", added_ms=5, attributes=("red",)
    )
    assert row_to_item(item_to_row(item)) == item


def test_what_has_no_row_is_refused() -> None:
    with pytest.raises(Unacceptable):
        event_to_row(Consent(event_id="e", user_id="u", time_ms=1, granted=True))


@pytest.mark.shared_data
def test_the_public_sets_are_read_whole_where_they_are() -> None:
    for path in sorted(SHARED.glob("*/events.jsonl.gz")):
        refused = set()
        with gzip.open(path) as lines:
            for number, line in zip(range(20_000), lines, strict=False):
                try:
                    event = row_to_event(line, number)
                    assert decode_event(encode_json(event), event.user_id.encode(), (), 10**13) == event
                except BadInput as error:
                    refused.add(error.reason)
        assert refused <= {Reason.NO_USER, Reason.NOT_APPLICABLE, Reason.IMPOSSIBLE_TIME}, path
    for path in sorted(SHARED.glob("*/items.jsonl.gz")):
        with gzip.open(path) as lines:
            assert all(row_to_item(line).item_id for line in lines)
