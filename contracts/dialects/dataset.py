"""Rows of public data sets in one common form: gzip JSONL, one object a line.

An events row has ``user_id``, ``item_id``, ``event_type``, ``timestamp`` (Unix seconds, UTC, or null) and ``value``;
an items row ``item_id``, ``title``, ``category`` (levels joined by ' > '), ``brand``, ``description``, ``price``.
Of ``attributes`` those named most often are kept, as many as an item may have.
The other columns of the Structs below may be there as well; any further column is ignored. A row that is a
canonical event (it has ``type``, not ``event_type``) is read as one.

Where a set has no times (``timestamp`` null) they are made up: a second for each place in the order
(``seq``, of the shopper's history or of the whole file; without it the line), from ``UNTIMED_MS``. The event says so
for ever: its id begins with ``untimed-``.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Annotated, TypedDict, TypeVar

import msgspec
from msgspec import Meta, Struct

from contracts.dialects import canonical
from contracts.errors import Reason, Unacceptable, Unreadable
from contracts.events import (
    UNSEEN,
    AnyEvent,
    CartAdd,
    CartRemove,
    Click,
    Event,
    Hide,
    Id,
    Impression,
    Items,
    Line,
    Lines,
    Money,
    Purchase,
    Query,
    Refund,
    Review,
    Search,
    Slot,
    View,
    Wishlist,
)
from contracts.messages import MOST_ATTRIBUTES, CatalogueItem
from contracts.reading import read as read_row

LEVELS = " > "
UNTIMED = "untimed-"
UNTIMED_MS = 1_262_304_000_000  # 2010-01-01
UNTIMED_STEP_MS = 1_000  # short beside any half-life, and close: the order is all that is known

STARS = 5

S = TypeVar("S", bound=Struct)


#: An id in a row: '' where there is none, else as strict as an event's.
RowId = Annotated[str, Meta(max_length=256, pattern=rf"^[^{UNSEEN}]*\Z")]
Finite = Annotated[float, Meta(ge=-1e12, le=1e12)]


class EventRow(Struct, omit_defaults=True, kw_only=True):
    """One line of an events file. ``value`` is the stars of a review, else the money for the whole row.

    Null, '' and no column at all are the same.
    """

    event_type: str | None = None
    user_id: RowId | None = None
    item_id: RowId | None = None
    timestamp: Finite | None = None
    value: Finite | None = None
    seq: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    quantity: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] | None = None
    unit_price: Money | None = None
    order_id: Id | None = None
    title: Annotated[str, Meta(max_length=5_000)] | None = None
    text: Annotated[str, Meta(max_length=14_000)] | None = None
    query: Query | None = None
    items: Items = ()
    lines: Lines = ()
    event_id: Id | None = None
    session_id: Id | None = None
    recommendation_id: Id | None = None
    position: Slot | None = None


class Head(TypedDict):
    """The fields that every event has."""

    event_id: str
    user_id: str
    time_ms: int
    session_id: str | None


Maker = Callable[[EventRow, Head], AnyEvent]


class ItemRow(Struct, omit_defaults=True, kw_only=True):
    """One line of an items file. Null, '' and no column at all are the same."""

    item_id: str
    title: str | None = None
    category: str | tuple[str, ...] | None = None
    brand: str | None = None
    description: str | None = None
    price: float | None = None
    stock: int | None = None
    group: str | None = None
    attributes: str | tuple[str | int, ...] | None = None
    added_ms: int | None = None


_event_row = msgspec.json.Decoder(EventRow)
_item_row = msgspec.json.Decoder(ItemRow)


def row_to_event(row: bytes, number: int) -> AnyEvent:
    """One line of an events file as an event. ``number`` is the line's own, so that equal lines are two events.

    Raises:
        Unreadable: the row is no JSON, or a field is not what it should be.
        Unacceptable: the row is nobody's event, or a bookkeeping adjustment.
    """
    read = read_row(_event_row, row)
    if read.event_type is None:
        return canonical.read(row, ())
    make = _MAKERS.get(read.event_type)
    if make is None:
        raise Unreadable(Reason.UNKNOWN_TYPE, f"event_type {read.event_type!r}; known are {', '.join(_MAKERS)}")
    if not read.user_id:
        raise Unacceptable(Reason.NO_USER, "the row has no user_id: nobody's event")
    return make(read, _head(read, row, number))


def row_to_item(row: bytes) -> CatalogueItem:
    """One line of an items file, or a canonical item, as a catalogue item. Raises: Unreadable."""
    read = read_row(_item_row, row)
    category = tuple(read.category.split(LEVELS)) if isinstance(read.category, str) else read.category or ()
    attributes = (read.attributes,) if isinstance(read.attributes, str) else read.attributes or ()
    said = {name: value for name, value in msgspec.structs.asdict(read).items() if value is not None}
    fields = said | {
        "category": tuple(level.strip() for level in category if level.strip()),
        "attributes": attributes_of(attribute for attribute in attributes if attribute != ""),
    }
    try:
        return msgspec.convert(fields, CatalogueItem)
    except msgspec.ValidationError as error:
        raise Unreadable(Reason.INVALID_FIELD, str(error)) from error


def attributes_of(named: Iterable[str | int]) -> tuple[str, ...]:
    """Each attribute once, those named most often first, as many as an item may have: some sets repeat them."""
    return tuple(name for name, _ in Counter(map(str, named)).most_common(MOST_ATTRIBUTES))


def event_to_row(event: AnyEvent) -> bytes:
    """An event as one line of an events file; ``row_to_event`` gives it back. Raises: Unacceptable for other types."""
    kind = _COLUMN.get(type(event))
    if kind is None:
        raise Unacceptable(Reason.NOT_APPLICABLE, f"a {type(event).__name__} has no row in an events file")
    fields = msgspec.to_builtins(event)
    del fields["type"]
    shared = {"user_id": fields.pop("user_id"), "item_id": fields.pop("item_id", ""), "event_type": kind}
    money = {"timestamp": fields.pop("time_ms") / 1000, "value": fields.pop("rating", fields.pop("price", None))}
    return msgspec.json.encode(shared | money | fields)


def item_to_row(item: CatalogueItem) -> bytes:
    """A catalogue item as one line of an items file."""
    empty = {"title": "", "category": "", "brand": "", "description": "", "price": None}
    fields = empty | msgspec.to_builtins(item)
    return msgspec.json.encode(fields | {"category": LEVELS.join(item.category)})


def untimed(event: AnyEvent) -> bool:
    """Whether the event's time was made up, because its data set has none."""
    return event.event_id.startswith(UNTIMED)


def _head(read: EventRow, row: bytes, number: int) -> Head:
    """The fields that every event has."""
    if read.timestamp is None:
        prefix, time_ms = UNTIMED, _made_up_ms(read, number)
    else:
        prefix, time_ms = "", round(read.timestamp * 1000)
    event_id = read.event_id or prefix + _digest(row, number)
    return {"event_id": event_id, "user_id": read.user_id or "", "time_ms": time_ms, "session_id": read.session_id}


def _made_up_ms(read: EventRow, number: int) -> int:
    return UNTIMED_MS + (number if read.seq is None else read.seq) * UNTIMED_STEP_MS


def _digest(row: bytes, number: int) -> str:
    """An id for the row: the same whenever the same file is read."""
    return blake2b(row, digest_size=8, salt=number.to_bytes(8, "big")).hexdigest()


def _impression(read: EventRow, head: Head) -> AnyEvent:
    items = read.items or (_item(read),)
    return Impression(items=items, recommendation_id=read.recommendation_id, **head)


def _search(read: EventRow, head: Head) -> AnyEvent:
    return Search(query=read.query or "", **head)


def _about(make: type[Click | View | CartRemove | Wishlist | Hide]) -> Maker:
    """The maker of an event that names its item, and the slate that it came from."""

    def maker(read: EventRow, head: Head) -> AnyEvent:
        receipt = read.recommendation_id
        return make(item_id=_item(read), recommendation_id=receipt, position=read.position, **head)

    return maker


def _cart_add(read: EventRow, head: Head) -> AnyEvent:
    return CartAdd(
        item_id=_item(read), quantity=_pieces(read), price=_price(read),
        recommendation_id=read.recommendation_id, position=read.position, **head,
    )  # fmt: skip


def _purchase(read: EventRow, head: Head) -> AnyEvent:
    receipt = read.recommendation_id
    return Purchase(lines=_lines(read), order_id=read.order_id, recommendation_id=receipt, **head)


def _return(read: EventRow, head: Head) -> AnyEvent:
    return Refund(lines=_lines(read), order_id=read.order_id, **head)


def _review(read: EventRow, head: Head) -> AnyEvent:
    if read.value is not None and not 0 <= read.value <= STARS:
        raise Unreadable(Reason.INVALID_FIELD, f"value {read.value} of a {read.event_type}; stars are 0 to {STARS}")
    words = ". ".join(text for text in (read.title, read.text) if text)
    return Review(item_id=_item(read), rating=read.value, text=words, **head)


def _adjustment(_read: EventRow, _head: Head) -> AnyEvent:
    raise Unacceptable(Reason.NOT_APPLICABLE, "an adjustment is the shop's bookkeeping, no shopper did it")


def _item(read: EventRow) -> str:
    if not read.item_id:
        raise Unreadable(Reason.INVALID_FIELD, f"a {read.event_type} without item_id")
    return read.item_id


def _lines(read: EventRow) -> tuple[Line, ...]:
    return read.lines or (Line(item_id=_item(read), quantity=_pieces(read), price=_price(read)),)


def _pieces(read: EventRow) -> int:
    """Returned goods are counted down in some sets: -3 pieces are 3 pieces."""
    return abs(read.quantity) if read.quantity else 1


def _price(read: EventRow) -> float | None:
    """Of one piece."""
    if read.unit_price is not None or read.value is None:
        return read.unit_price
    return abs(read.value) / _pieces(read)


#: What a data set calls an event, and how it is made.
_MAKERS: dict[str, Maker] = {
    "impression": _impression, "search": _search, "click": _about(Click), "view": _about(View),
    "add_to_cart": _cart_add, "remove_from_cart": _about(CartRemove), "wishlist": _about(Wishlist),
    "purchase": _purchase, "return": _return, "review": _review, "rating": _review, "hide": _about(Hide),
    "adjustment": _adjustment,
}  # fmt: skip

_COLUMN: dict[type[Event], str] = {
    Impression: "impression", Search: "search", Click: "click", View: "view", CartAdd: "add_to_cart",
    CartRemove: "remove_from_cart", Wishlist: "wishlist", Purchase: "purchase", Refund: "return", Review: "review",
    Hide: "hide",
}  # fmt: skip
