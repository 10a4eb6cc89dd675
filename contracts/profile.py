"""What we know of a shopper: ``Profile``, and the one pure ``fold`` that makes it, live and offline.

A profile is a function of the shopper's events in log order and of nothing else: no clock, no randomness, no
catalogue. ``apply`` puts the fences around ``fold``: an offset that is not beyond the profile's is a repeat of
ours, an event id seen lately is a repeat of the producer's; neither changes what we know.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from contracts.events import (
    ANSWERED,
    AnyEvent,
    CartAdd,
    CartRemove,
    Checkout,
    Consent,
    Event,
    Forget,
    Hide,
    Impression,
    ItemId,
    Kind,
    Lines,
    Purchase,
    Refund,
    Search,
    UserId,
    items_of,
    kind_of,
)  # fmt: skip

HISTORY = 100
SHOWN = 100
BOUGHT = 100
HIDDEN = 200
CART = 100
QUERIES = 5
RECENT_IDS = 64
#: No profile is larger in the store, even if every id has 256 characters of 4 bytes; a usual one has 2 to 20 kB.
LARGEST_BYTES = 650_000
DAY_MS = 86_400_000

T = TypeVar("T")


class Position(Struct, frozen=True, array_like=True):
    """Where in the log an event stands. ``epoch`` names one life of the topic: re-created, its offsets start again."""

    epoch: str
    partition: int
    offset: int


class History(Struct, frozen=True, array_like=True):
    """The last interactions as columns, oldest first: items, their event kinds, Unix milliseconds."""

    items: tuple[ItemId, ...] = ()
    kinds: tuple[int, ...] = ()
    times_ms: tuple[int, ...] = ()


class Bought(Struct, frozen=True, array_like=True):
    """Items bought, as columns, the last bought at the end: item, Unix milliseconds of the last time, times bought."""

    items: tuple[ItemId, ...] = ()
    times_ms: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


class Loyalty(Struct, frozen=True, array_like=True):
    """What BG/NBD and Gamma-Gamma need: orders, days with a repeat order, first and last order, money spent."""

    orders: int = 0
    repeat_days: int = 0
    first_ms: int = 0
    last_ms: int = 0
    spent: float = 0.0


class Profile(Struct, frozen=True, array_like=True):
    """Everything we know of one shopper. Fields are only ever added, at the end, with a default.

    ``version`` counts the records applied; the store compares it. ``answered`` is the offset of the last event
    that is owed a slate (-1: none). ``counts`` is indexed by ``Kind``. ``consent`` None: never asked.
    """

    user_id: UserId
    version: int = 0
    position: Position | None = None
    answered: int = -1
    history: History = History()
    shown: tuple[ItemId, ...] = ()
    bought: Bought = Bought()
    hidden: tuple[ItemId, ...] = ()
    cart: tuple[ItemId, ...] = ()
    queries: tuple[str, ...] = ()
    counts: tuple[int, ...] = (0,) * len(Kind)
    loyalty: Loyalty = Loyalty()
    consent: bool | None = None
    recent_ids: tuple[int, ...] = ()
    first_ms: int = 0
    last_ms: int = 0
    erased_ms: int = 0


class Outcome(Enum):
    """What ``apply`` did with a record."""

    APPLIED = "applied"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"


class Applied(NamedTuple):
    """The profile after a record, and what happened."""

    profile: Profile
    outcome: Outcome


def apply(profile: Profile | None, position: Position, event: AnyEvent) -> Applied:
    """Fold one record of the log into a profile, once.

    REPEATED: the record was applied before (ours: a redelivery); the profile is returned as it is. DUPLICATE: the
    producer sent the event twice; only the position moves. APPLIED: folded.
    """
    known = profile or Profile(UserId(event.user_id))
    if is_repeat(known, position):
        return Applied(known, Outcome.REPEATED)
    answered = position.offset if kind_of(event) in ANSWERED else known.answered
    moved = replace(known, version=known.version + 1, position=position, answered=answered)
    fingerprint = fingerprint_of(event)
    if fingerprint in known.recent_ids:
        return Applied(moved, Outcome.DUPLICATE)
    folded = fold(moved, event)
    return Applied(replace(folded, recent_ids=_capped((*folded.recent_ids, fingerprint), RECENT_IDS)), Outcome.APPLIED)


def is_repeat(profile: Profile, position: Position) -> bool:
    """Whether a record at ``position`` was applied to ``profile`` before."""
    last = profile.position
    return last is not None and last.epoch == position.epoch and position.offset <= last.offset


def fingerprint_of(event: Event) -> int:
    """64 bits of an event's id, to know a producer's repeat."""
    return int.from_bytes(blake2b(event.event_id.encode(), digest_size=8).digest(), "big")


def fold(profile: Profile, event: AnyEvent) -> Profile:
    """What we know after ``event``. Pure.

    Without consent nothing is learned but a new answer on consent; of the time before an erasure nothing is, though
    an event of that time may still come in late or twice.
    """
    match event:
        case Forget():
            return _forget(profile, event)
        case Consent():
            return _consent(profile, event)
    if profile.consent is False or event.time_ms < profile.erased_ms:
        return profile
    return _EFFECTS.get(type(event), _interact)(_met(profile, event), event)


def _met(profile: Profile, event: AnyEvent) -> Profile:
    kind, counts = kind_of(event), list(profile.counts)
    counts.extend([0] * (len(Kind) - len(counts)))  # a profile written before a kind was added
    counts[kind] += 1
    first = min(profile.first_ms or event.time_ms, event.time_ms)
    return replace(profile, counts=tuple(counts), first_ms=first, last_ms=max(profile.last_ms, event.time_ms))


def _forget(profile: Profile, event: Event) -> Profile:
    """Keeps where it stands in the log, and a refusal: who said no is not asked to say it again."""
    return Profile(
        profile.user_id,
        version=profile.version,
        position=profile.position,
        consent=False if profile.consent is False else None,
        erased_ms=max(profile.erased_ms, event.time_ms),
    )


def _consent(profile: Profile, event: Consent) -> Profile:
    if event.granted:
        return replace(profile, consent=True)
    return replace(_forget(profile, event), consent=False, erased_ms=profile.erased_ms)


def _interact(profile: Profile, event: AnyEvent) -> Profile:
    """Append one history entry for each item of the event."""
    items, past = items_of(event), profile.history
    kinds, times = (int(kind_of(event)),) * len(items), (event.time_ms,) * len(items)
    history = History(
        _capped(past.items + items, HISTORY),
        _capped(past.kinds + kinds, HISTORY),
        _capped(past.times_ms + times, HISTORY),
    )
    return replace(profile, history=history)


def _shown(profile: Profile, event: Impression) -> Profile:
    return replace(profile, shown=_capped(profile.shown + items_of(event), SHOWN))


def _searched(profile: Profile, event: Search) -> Profile:
    return replace(profile, queries=_capped((*profile.queries, event.query), QUERIES))


def _into_cart(profile: Profile, event: CartAdd) -> Profile:
    cart = _moved_to_end(profile.cart, ItemId(event.item_id), CART)
    return _interact(replace(profile, cart=cart), event)


def _out_of_cart(profile: Profile, event: CartRemove) -> Profile:
    return _interact(replace(profile, cart=_without(profile.cart, (ItemId(event.item_id),))), event)


def _hidden(profile: Profile, event: Hide) -> Profile:
    return _interact(replace(profile, hidden=_moved_to_end(profile.hidden, ItemId(event.item_id), HIDDEN)), event)


def _checked_out(profile: Profile, event: Checkout) -> Profile:
    return profile  # it names what is in the cart already


def _purchased(profile: Profile, event: Purchase) -> Profile:
    items = items_of(event)
    bought = profile.bought
    for item in items:
        bought = _buy(bought, item, event.time_ms)
    bought_now = replace(profile, bought=bought, cart=_without(profile.cart, items))
    return _interact(replace(bought_now, loyalty=_order(profile.loyalty, event)), event)


def _refunded(profile: Profile, event: Refund) -> Profile:
    loyalty = replace(profile.loyalty, spent=profile.loyalty.spent - _worth(event.lines))
    return _interact(replace(profile, loyalty=loyalty), event)


def _buy(bought: Bought, item: ItemId, time_ms: int) -> Bought:
    at = bought.items.index(item) if item in bought.items else None
    times = 1 if at is None else bought.counts[at] + 1
    keep = [i for i in range(len(bought.items)) if i != at]
    return Bought(
        _capped((*(bought.items[i] for i in keep), item), BOUGHT),
        _capped((*(bought.times_ms[i] for i in keep), time_ms), BOUGHT),
        _capped((*(bought.counts[i] for i in keep), times), BOUGHT),
    )


def _order(loyalty: Loyalty, event: Purchase) -> Loyalty:
    """One order more; a repeat day is a later day than the last order's (Fader, Hardie, Lee 2005)."""
    new_day = loyalty.orders > 0 and event.time_ms // DAY_MS > loyalty.last_ms // DAY_MS
    return Loyalty(
        orders=loyalty.orders + 1,
        repeat_days=loyalty.repeat_days + new_day,
        first_ms=min(loyalty.first_ms or event.time_ms, event.time_ms),
        last_ms=max(loyalty.last_ms, event.time_ms),
        spent=loyalty.spent + _worth(event.lines),
    )


def _worth(lines: Lines) -> float:
    return sum((line.price or 0.0) * line.quantity for line in lines)


def _capped(values: tuple[T, ...], limit: int) -> tuple[T, ...]:
    return values[-limit:]


def _moved_to_end(items: tuple[ItemId, ...], item: ItemId, limit: int) -> tuple[ItemId, ...]:
    return _capped((*_without(items, (item,)), item), limit)


def _without(items: tuple[ItemId, ...], gone: Iterable[ItemId]) -> tuple[ItemId, ...]:
    drop = set(gone)
    return tuple(item for item in items if item not in drop)


_EFFECTS: dict[type[Event], Callable[[Profile, Any], Profile]] = {
    Impression: _shown, Search: _searched, CartAdd: _into_cart, CartRemove: _out_of_cart, Hide: _hidden,
    Checkout: _checked_out, Purchase: _purchased, Refund: _refunded,
}  # fmt: skip
