"""What shoppers do: the canonical events, tagged by ``type``, frozen, one Struct a type.

On the wire an event is JSON (``contracts/codec.py``)::

    {"type": "view", "event_id": "e1", "user_id": "u1", "time_ms": 1767225600000, "item_id": "i1"}

A new type is a new Struct here, a number in ``Kind``, and its effect in ``contracts/profile.py``.
"""

from enum import IntEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
EventId = NewType("EventId", str)
SessionId = NewType("SessionId", str)
RecommendationId = NewType("RecommendationId", str)
BundleDigest = NewType("BundleDigest", str)

#: What no id may have: control characters and line separators forge log lines and protocols; bidi controls,
#: zero-width, tag and other invisible characters make two ids look like one. Anything else is kept as it came, byte
#: for byte: ids are never normalised, because Kafka's partitions and the store's keys are made of their bytes.
UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e0fff"
)

#: An id: 1 to 256 characters, all of them visible or spaces. (``$`` would let a last newline pass.)
Id = Annotated[str, Meta(min_length=1, max_length=256, pattern=rf"^[^{UNSEEN}]+\Z")]
#: Unix milliseconds, UTC, in 64 bits.
TimeMs = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Text = Annotated[str, Meta(max_length=20_000)]
Query = Annotated[str, Meta(max_length=1_000)]
Money = Annotated[float, Meta(ge=0, le=1e12)]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
Slot = Annotated[int, Meta(ge=0, le=100_000)]
Stars = Annotated[float, Meta(ge=0, le=5)]


class Kind(IntEnum):
    """The number of an event type in profiles and in the model's arrays. Numbers are only ever added; 0 is padding."""

    NONE = 0
    IMPRESSION = 1
    CLICK = 2
    VIEW = 3
    CART_ADD = 4
    CART_REMOVE = 5
    WISHLIST = 6
    CHECKOUT = 7
    PURCHASE = 8
    REFUND = 9
    SEARCH = 10
    REVIEW = 11
    HIDE = 12
    CONSENT = 13
    FORGET = 14


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an order. ``price`` is for one piece."""

    item_id: Id
    quantity: Quantity = 1
    price: Money | None = None


Lines = Annotated[tuple[Line, ...], Meta(max_length=1_000)]
Items = Annotated[tuple[Id, ...], Meta(max_length=1_000)]


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all events have. ``time_ms``: Unix milliseconds, UTC, when the shopper did it."""

    event_id: Id
    user_id: Id
    time_ms: TimeMs
    session_id: Id | None = None
    anonymous_id: Id | None = None


class ItemEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event about one item, with the slate it came from where the shopper clicked on one."""

    item_id: Id
    recommendation_id: Id | None = None
    position: Slot | None = None


class Impression(Event, frozen=True, kw_only=True, omit_defaults=True, tag="impression"):
    """A list of items was shown."""

    items: Items
    recommendation_id: Id | None = None


class Click(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="click"):
    """An item in a list was clicked."""


class View(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="view"):
    """An item's own page was opened."""


class CartAdd(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="cart_add"):
    """An item was put into the cart. ``price`` is for one piece."""

    quantity: Quantity = 1
    price: Money | None = None


class CartRemove(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="cart_remove"):
    """An item was taken out of the cart."""


class Wishlist(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="wishlist"):
    """An item was put on the wish list."""


class Checkout(Event, frozen=True, kw_only=True, omit_defaults=True, tag="checkout"):
    """The checkout was opened."""

    lines: Lines = ()


class Purchase(Event, frozen=True, kw_only=True, omit_defaults=True, tag="purchase"):
    """An order was placed."""

    lines: Annotated[Lines, Meta(min_length=1)]
    order_id: Id | None = None
    currency: Id | None = None
    recommendation_id: Id | None = None


class Refund(Event, frozen=True, kw_only=True, omit_defaults=True, tag="refund"):
    """Lines of an order were given back."""

    lines: Annotated[Lines, Meta(min_length=1)]
    order_id: Id | None = None


class Search(Event, frozen=True, kw_only=True, omit_defaults=True, tag="search"):
    """Words were searched for."""

    query: Query


class Review(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="review"):
    """An item was rated (0 to 5 stars), with or without words."""

    rating: Stars | None = None
    text: Text = ""


class Hide(ItemEvent, frozen=True, kw_only=True, omit_defaults=True, tag="hide"):
    """The shopper does not want to see this item again."""


class Consent(Event, frozen=True, kw_only=True, omit_defaults=True, tag="consent"):
    """The shopper gave or withdrew the consent to personal recommendations."""

    granted: bool


class Forget(Event, frozen=True, kw_only=True, omit_defaults=True, tag="forget"):
    """Erase the profile. It is in the log, so a replay erases it again."""


AnyEvent = (
    Impression | Click | View | CartAdd | CartRemove | Wishlist | Checkout | Purchase | Refund | Search | Review
    | Hide | Consent | Forget
)  # fmt: skip

KIND_OF: dict[type[Event], Kind] = {
    Impression: Kind.IMPRESSION, Click: Kind.CLICK, View: Kind.VIEW, CartAdd: Kind.CART_ADD,
    CartRemove: Kind.CART_REMOVE, Wishlist: Kind.WISHLIST, Checkout: Kind.CHECKOUT, Purchase: Kind.PURCHASE,
    Refund: Kind.REFUND, Search: Kind.SEARCH, Review: Kind.REVIEW, Hide: Kind.HIDE, Consent: Kind.CONSENT,
    Forget: Kind.FORGET,
}  # fmt: skip

#: Events that change what the shopper should see next, and so are answered with a slate.
ANSWERED = frozenset(KIND_OF.values()) - {Kind.IMPRESSION, Kind.CONSENT, Kind.FORGET}


def kind_of(event: Event) -> Kind:
    """The number of an event's type."""
    return KIND_OF[type(event)]


def erases(event: Event) -> bool:
    """Whether an event takes away what is known: it is answered with no slate, and the last one goes."""
    return isinstance(event, Forget) or (isinstance(event, Consent) and not event.granted)


def items_of(event: AnyEvent) -> tuple[ItemId, ...]:
    """The items an event is about, in its order; empty for a search, a consent, a forget."""
    match event:
        case Impression(items=items):
            return items  # type: ignore[return-value]
        case Checkout(lines=lines) | Purchase(lines=lines) | Refund(lines=lines):
            return tuple(ItemId(line.item_id) for line in lines)
        case ItemEvent(item_id=item_id):
            return (ItemId(item_id),)
        case _:
            return ()
