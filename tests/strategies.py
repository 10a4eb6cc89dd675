"""Hypothesis strategies for events: few users, items and ids, so that everything collides."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from contracts.events import (
    AnyEvent,
    CartAdd,
    CartRemove,
    Checkout,
    Click,
    Consent,
    Forget,
    Hide,
    Impression,
    Line,
    Purchase,
    Refund,
    Review,
    Search,
    View,
    Wishlist,
)

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000

times = st.integers(0, 400).map(lambda hours: START_MS + hours * DAY_MS // 4)
items = st.sampled_from([f"i{n}" for n in range(12)])
event_ids = st.one_of(st.sampled_from([f"e{n}" for n in range(30)]), st.uuids().map(str))
prices = st.one_of(st.none(), st.floats(0, 1e12))
lines = st.lists(
    st.builds(Line, item_id=items, quantity=st.integers(1, 1_000_000), price=prices), min_size=1, max_size=5
).map(tuple)


def _kind(make: Callable[..., AnyEvent], **fields: Any) -> st.SearchStrategy[AnyEvent]:
    return st.builds(make, event_id=event_ids, user_id=st.just("u"), time_ms=times, **fields)


#: Any event of the one shopper "u" but those that erase.
learning: st.SearchStrategy[AnyEvent] = st.one_of(
    _kind(Impression, items=st.lists(items, max_size=20).map(tuple)),
    *(_kind(make, item_id=items) for make in (Click, View, CartAdd, CartRemove, Wishlist, Hide)),
    _kind(Review, item_id=items, rating=st.one_of(st.none(), st.floats(0, 5)), text=st.text(max_size=20)),
    _kind(Checkout, lines=lines),
    _kind(Purchase, lines=lines),
    _kind(Refund, lines=lines),
    _kind(Search, query=st.text(max_size=50)),
)
#: Any event of the one shopper "u".
anything: st.SearchStrategy[AnyEvent] = st.one_of(
    *([learning] * 6), _kind(Consent, granted=st.booleans()), _kind(Forget)
)
logs = st.lists(anything, max_size=60)
