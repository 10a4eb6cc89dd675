"""What the HTTP API takes and gives. OpenAPI is generated from these Structs (``storefront/openapi.py``)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.events import Id, ItemId, Query, UserId
from contracts.messages import CatalogueItem, SlateItem, StageTiming

Limit = Annotated[int, Meta(ge=1, le=100, description="Most items of the answer.")]
Ids = Annotated[str, Meta(max_length=10_000, description="Item ids, parted by commas.")]
Price = Annotated[float, Meta(ge=0, le=1e12)]


class EventResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event of a request. ``reason`` is a stable code, ``message`` says what to change."""

    status: Literal["accepted", "refused"]
    event_id: str | None = None
    reason: str | None = None
    message: str | None = None


class EventsAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of each event, in the request's order.

    ``token``: give it to ``GET /v1/recommendations?after=`` to be answered from a profile that has these events.
    """

    accepted: int
    refused: int
    results: tuple[EventResult, ...]
    token: str | None = None


class RecommendationsQuery(Struct, frozen=True, kw_only=True):
    """A surface beside an item (``product``) needs ``item_id``, one beside a cart (``cart``) takes ``items``.

    ``wait_ms``: how long ``after`` may be waited for.
    """

    user_id: Id | None = None
    surface: Annotated[str, Meta(max_length=64)] = "home"
    item_id: Id | None = None
    items: Ids = ""
    limit: Limit | None = None
    category: Annotated[str, Meta(max_length=500)] = ""
    min_price: Price | None = None
    max_price: Price | None = None
    exclude: Ids = ""
    after: Annotated[str, Meta(max_length=2_000)] = ""
    wait_ms: Annotated[int, Meta(ge=0, le=10_000)] = 1_000


class Slot(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place of a slate: the item as the catalogue has it, and why it stands there, the shop's ``rules`` too."""

    item: CatalogueItem
    score: float
    source: str
    reason: str
    rules: tuple[str, ...] = ()


class Recommendations(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A slate for a page.

    ``current`` False: the profile did not have the event of ``after`` yet when the deadline came. ``computed``: made
    for this request; else the newest slate of the stream. ``answers``: the event that it answers, ``time_ms`` its time.
    """

    recommendation_id: str
    user_id: UserId
    surface: str
    items: tuple[Slot, ...]
    current: bool
    computed: bool
    answers: str
    time_ms: int
    made_ms: int
    profile_version: int
    bundle: str | None = None
    degraded: str | None = None
    stages: tuple[StageTiming, ...] = ()


class ItemsQuery(Struct, frozen=True, kw_only=True):
    """Most items, and of which category (any level)."""

    limit: Limit = 10
    category: Annotated[str, Meta(max_length=500)] = ""


class SearchQuery(Struct, frozen=True, kw_only=True):
    """Words in the shop's language; what they mean counts as well."""

    q: Annotated[Query, Meta(min_length=1)]
    limit: Limit = 20


class ScoredItem(Struct, frozen=True, kw_only=True):
    """An item and how well it fits, greater is better; comparable within one answer only."""

    item: CatalogueItem
    score: float


class ItemList(Struct, frozen=True, kw_only=True):
    """Items, best first."""

    items: tuple[ScoredItem, ...]


class Category(Struct, frozen=True, kw_only=True):
    """One of the widest categories, and how many items of it can be bought."""

    name: str
    items: int


class Categories(Struct, frozen=True, kw_only=True):
    """The widest categories, the fullest first."""

    categories: tuple[Category, ...]


class WhyQuery(Struct, frozen=True, kw_only=True):
    """``without``: an item; what would the slate be had the shopper never met it?

    ``without_event``: an event's id; what had it never come? One of the two at a time.
    """

    without: Id | None = None
    without_event: Id | None = None


class Share(Struct, frozen=True, kw_only=True):
    """How much of an item's score one feature carries: the score as it is less the score with a middling value."""

    feature: str
    value: float
    share: float


class WhyItem(Struct, frozen=True, kw_only=True):
    """One slot's account, the features that carry most first."""

    item_id: ItemId
    source: str
    reason: str
    score: float
    shares: tuple[Share, ...]


class Why(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A slate's receipt in words; shares are of the shopper's profile as it is now.

    ``without``: the slate as it would be without the item or the event that was asked about; ``gone`` and ``come``
    compare, an item's with what was shown, an event's with ``again``: the slate made again with every event.
    """

    recommendation_id: str
    words: tuple[str, ...]
    items: tuple[WhyItem, ...]
    again: tuple[SlateItem, ...] = ()
    without: tuple[SlateItem, ...] = ()
    gone: tuple[ItemId, ...] = ()
    come: tuple[ItemId, ...] = ()


class UserQuery(Struct, frozen=True, kw_only=True):
    """Whose; a visitor's token says so itself."""

    user_id: Id | None = None


class Met(Struct, frozen=True, kw_only=True):
    """One thing that the shopper did."""

    item_id: ItemId
    title: str
    kind: str
    time_ms: int


class Counted(Struct, frozen=True, kw_only=True):
    """How often a kind of event happened."""

    kind: str
    count: int


class ProfileAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is known of a shopper. ``history``: newest first."""

    user_id: UserId
    version: int
    counts: tuple[Counted, ...]
    history: tuple[Met, ...]
    cart: tuple[ItemId, ...]
    bought: tuple[ItemId, ...]
    hidden: tuple[ItemId, ...]
    queries: tuple[str, ...]
    orders: int
    spent: float
    consent: bool | None = None
    erased_ms: int = 0


class Accepted(Struct, frozen=True, kw_only=True):
    """It is in the log and will be applied; ``token`` as in ``EventsAnswer``."""

    token: str


class VisitorWish(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose token; None makes a new anonymous visitor. Only a server may name one."""

    user_id: Id | None = None


class Visitor(Struct, frozen=True, kw_only=True):
    """A signed token that lets a page see this one visitor and nobody else, until ``expires_ms``."""

    user_id: UserId
    token: str
    expires_ms: int


class Health(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether it works, and what is away."""

    status: Literal["live", "ready", "not ready"]
    away: tuple[str, ...] = ()


class Problem(Struct, frozen=True, kw_only=True):
    """RFC 9457, ``application/problem+json``. ``detail`` says what is wrong and what to do."""

    type: str
    title: str
    status: int
    detail: str
