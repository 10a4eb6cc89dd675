"""What the operator's view takes and gives: how it goes, dead letters, any shopper, any item. Roles: operator alone."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.api import ProfileAnswer
from contracts.events import BundleDigest, Id, ItemId, UserId
from contracts.messages import CatalogueItem, Slate

LetterPlace = Annotated[str, Meta(pattern=r"^[0-9]{1,9}/[0-9]{1,18}\Z", description="PARTITION/OFFSET of a letter.")]
Most = Annotated[int, Meta(ge=1, le=500, description="Most letters of the answer.")]


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure between the ends of its 95% interval; ``high`` None: it has no upper end."""

    value: float
    low: float
    high: float | None


class ArmState(Struct, frozen=True, kw_only=True):
    """One arm: lists shown, how many of them were clicked, by how many shoppers, and that as a rate in 0..1."""

    arm: str
    lists: int
    clicked: int
    shoppers: int
    rate: Estimate


class ClickRates(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Clicks on daogou's slates against the control group's lists, of lists shown since ``since_ms``.

    A click belongs to the last showing of its list to its shopper, once. ``difference`` and ``ratio`` are daogou's less
    and over the control's, None where there is nothing to compare. Shoppers, not lists, are what was drawn: intervals
    are as wide as that. ``words`` says what may be concluded. ``unknown_clicks``: on lists that nobody showed.
    """

    arms: tuple[ArmState, ...]
    words: str
    since_ms: int
    difference: Estimate | None = None
    ratio: Estimate | None = None
    unknown_clicks: int = 0


class Sample(Struct, frozen=True, kw_only=True):
    """A few seconds of the stream. Freshness: milliseconds from an event's time to its slate's hand-over to Kafka.

    Click rates are in 0..1 and of the hour before; None where nothing was shown.
    """

    time_ms: int
    events_per_second: float
    slates_per_second: float
    freshness_p50_ms: float
    freshness_p99_ms: float
    lag: int
    degraded_share: float = 0.0
    click_rate: float | None = None
    control_rate: float | None = None


class PartitionState(Struct, frozen=True, kw_only=True):
    """One partition of the clickstream: records not yet applied, and where it ends."""

    partition: int
    lag: int
    latest: int


class Cause(Struct, frozen=True, kw_only=True):
    """A reason or cause, and how many."""

    cause: str
    count: int


class ModelState(Struct, frozen=True, kw_only=True):
    """A bundle that made slates in the last minute, since when it is seen, and how many it made. ``name``: "" if the
    API itself serves another one."""

    bundle: BundleDigest
    name: str
    since_ms: int
    slates: int


class Away(Struct, frozen=True, kw_only=True):
    """A part that does not answer: which, since when, and what it said."""

    part: Literal["Kafka", "Redis"]
    since_ms: int
    message: str


class Coverage(Struct, frozen=True, kw_only=True):
    """Of the catalogue: items in it, for sale, with a vector, and different ones shown in the last 2,000 slates."""

    items: int
    available: int
    embedded: int
    shown: int


class Operator(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How it goes. ``samples``: oldest first. ``degraded`` is of the ``recent_slates`` of the last minute.

    ``click_rates`` None: not counted (DAOGOU_API__CLICK_RATES). ``away``: parts that do not answer now.
    """

    samples: tuple[Sample, ...]
    partitions: tuple[PartitionState, ...]
    degraded: tuple[Cause, ...]
    recent_slates: int
    coverage: Coverage
    streams: int
    models: tuple[ModelState, ...] = ()
    click_rates: ClickRates | None = None
    away: tuple[Away, ...] = ()


class LettersQuery(Struct, frozen=True, kw_only=True):
    """``reason``: only these."""

    reason: Annotated[str, Meta(max_length=100)] = ""
    limit: Most = 50


class Letter(Struct, frozen=True, kw_only=True):
    """An input that could not be processed, where it lies, and why; ``key`` and ``value`` cut short.

    ``topic``, ``partition``, ``offset``: where it came from; ``attempts``: how often it was tried.
    """

    at: str
    reason: str
    message: str
    topic: str
    partition: int
    offset: int
    failed_ms: int
    attempts: int
    key: str
    value: str


class Letters(Struct, frozen=True, kw_only=True):
    """Dead letters, newest first. ``reasons`` counts the last ``looked_at`` of ``total``, whatever was asked for."""

    letters: tuple[Letter, ...]
    reasons: tuple[Cause, ...]
    looked_at: int
    total: int


class LetterQuery(Struct, frozen=True, kw_only=True):
    """Which letter."""

    at: LetterPlace


class HeaderText(Struct, frozen=True, kw_only=True):
    """A header of the record as it came; bytes that are no text are escaped."""

    name: str
    value: str


class OpenLetter(Struct, frozen=True, kw_only=True):
    """One letter whole. ``binary``: ``value`` is no text, its bytes are shown escaped."""

    letter: Letter
    exception: str
    group: str
    headers: tuple[HeaderText, ...]
    binary: bool


class RedriveWish(Struct, frozen=True, kw_only=True):
    """Letters to send back to the topic that they came from, after mending the cause."""

    at: Annotated[tuple[LetterPlace, ...], Meta(min_length=1, max_length=100)]


class Redriven(Struct, frozen=True, kw_only=True):
    """How many were sent back; one whose cause is still there comes again with one attempt more."""

    sent: int


class ShopperQuery(Struct, frozen=True, kw_only=True):
    """Whose."""

    user_id: Id


class PastEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record of a shopper in the log: where it stands, and what it says; ``error`` where it is no event."""

    partition: int
    offset: int
    time_ms: int
    event_id: str = ""
    kind: str = ""
    items: tuple[ItemId, ...] = ()
    recommendation_id: str = ""
    error: str = ""


class ShopperView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything about one shopper. ``words`` first. ``events`` (newest first) are of the last ``looked_at`` records of
    their partition; ``slates`` (newest first) are those of the last minutes with their receipts. ``away``: what could
    not be asked, so that its part is missing.
    """

    user_id: UserId
    words: tuple[str, ...]
    partition: int
    looked_at: int
    profile: ProfileAnswer | None = None
    events: tuple[PastEvent, ...] = ()
    slates: tuple[Slate, ...] = ()
    away: tuple[str, ...] = ()


class ItemQuery(Struct, frozen=True, kw_only=True):
    """Which item; ``user_id``: why this shopper sees it, or does not."""

    item_id: Id
    user_id: Id | None = None


class Seen(Struct, frozen=True, kw_only=True):
    """A slate that an item stands in."""

    user_id: UserId
    recommendation_id: str
    made_ms: int
    place: int
    source: str
    reason: str


class Step(Struct, frozen=True, kw_only=True):
    """One stage of a slate and what it did with the item."""

    stage: str
    passed: bool
    words: str


class ItemView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who sees an item, and why not. ``words``: what keeps it from everybody, if anything does.

    ``in_slates`` of ``of_slates``: slates of the last minutes that it stands in; ``seen`` are the newest of them.
    ``steps``: its way through the stages for the shopper that was asked about, up to where it ended.
    """

    item_id: ItemId
    words: tuple[str, ...]
    in_slates: int
    of_slates: int
    item: CatalogueItem | None = None
    seen: tuple[Seen, ...] = ()
    steps: tuple[Step, ...] = ()
    away: tuple[str, ...] = ()
