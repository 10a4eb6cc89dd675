"""What daogou itself puts on topics, and the catalogue's items."""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.errors import Reason
from contracts.events import BundleDigest, EventId, Id, ItemId, Money, RecommendationId, Text, UserId
from contracts.rules import Action

MOST_ATTRIBUTES = 64


class CatalogueItem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item of the shop, as its catalogue system upserts it (a null value deletes it).

    ``category`` runs from the widest level to the narrowest. ``group`` names the product that this is a variant
    of. ``attributes`` are anything else that items share (colour, material). ``stock`` None means that the shop does
    not say. ``added_ms`` is Unix milliseconds, to the year 9999.
    """

    item_id: Id
    title: Text = ""
    description: Text = ""
    category: Annotated[tuple[Text, ...], Meta(max_length=16)] = ()
    brand: Annotated[str, Meta(max_length=500)] = ""
    price: Money | None = None
    stock: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None
    group: Id | None = None
    attributes: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=MOST_ATTRIBUTES)] = ()
    added_ms: Annotated[int, Meta(ge=0, le=253_402_300_799_999)] | None = None

    @property
    def available(self) -> bool:
        """Whether it can be bought: in stock, or the shop does not say."""
        return self.stock is None or self.stock > 0


class Embedding(Struct, frozen=True, kw_only=True):
    """An item's text as a vector: float16 little-endian bytes, made by ``bundle``'s encoder from ``text_digest``."""

    item_id: Id
    bundle: BundleDigest
    text_digest: str
    vector: bytes


class Probabilities(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the ranker's heads say, each in 0..1; None of a head that the bundle does not have.

    ``rating``: the share of five stars. ``return_visit``: that the shopper visits the shop again within a week.
    """

    click: float
    cart: float
    purchase: float
    rating: float | None = None
    return_visit: float | None = None


class SlateItem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One slot of a slate.

    ``source`` is the name of the source that proposed it, ``reason`` the same in words for the shopper,
    ``score`` the weighted value that ordered it, ``propensity`` the probability with which this slot was drawn.
    ``rules``: the ids of the shop's rules that placed, raised or lowered it.
    """

    item_id: ItemId
    score: float
    source: str
    reason: str
    propensity: float
    probabilities: Probabilities | None = None
    rules: tuple[str, ...] = ()


class RuleEffect(Struct, frozen=True, kw_only=True):
    """What one of the shop's rules did to a slate: so many candidates hidden, or items of the slate touched."""

    rule_id: str
    action: Action
    items: int


class Trigger(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event that a slate answers, and where in the log it stands. ``time_ms`` is the event's own time."""

    event_id: EventId
    topic: str
    partition: int
    offset: int
    time_ms: int


class StageTiming(Struct, frozen=True, kw_only=True):
    """How long one stage of the batch took, and for how many slates at once."""

    stage: str
    microseconds: int
    slates: int


class Slate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ordered answer to one event, with its receipt.

    ``recommendation_id`` is derived from the event's id, the bundle's digest and the settings' digest, so a
    repeat has the same id. ``degraded`` says why the answer is not the best possible, or is None.
    ``made_ms`` is when it was handed to Kafka (Unix ms). ``rules``: what the shop's rules did to it.
    """

    recommendation_id: RecommendationId
    user_id: UserId
    surface: str
    items: tuple[SlateItem, ...]
    trigger: Trigger
    profile_version: int
    bundle: BundleDigest | None
    stages: tuple[StageTiming, ...] = ()
    degraded: str | None = None
    arm: str = "daogou"
    made_ms: int = 0
    rules: tuple[RuleEffect, ...] = ()


class Header(Struct, frozen=True):
    """One Kafka header, as it came."""

    name: str
    value: bytes


class DeadLetter(Struct, frozen=True, kw_only=True):
    """An input that could not be processed: its bytes as they came, and why (headers of KIP-1034)."""

    reason: Reason
    message: str
    exception: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    failed_ms: int
    attempts: int = 1
    group: str = ""
