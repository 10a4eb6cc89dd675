"""What a slate would have been without one event: the shopper's log folded again, with it and without, asked alike.

The same fold, engine, trigger and page as then. Catalogue, statistics and model are those of now for both, so what
differs between the two is the event's doing alone.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from contracts.codec import decode_event
from contracts.errors import BadInput, Missing
from contracts.events import ANSWERED, AnyEvent, EventId, kind_of
from contracts.messages import Slate, SlateItem
from contracts.profile import Position, Profile, apply
from storefront.past import MOST, Past
from storefront.recommending import asked_again
from storefront.window import Window


class WithoutIt(NamedTuple):
    """``again``: the slate made again with every event; ``without``: without one. ``words``: how far it holds."""

    again: tuple[SlateItem, ...]
    without: tuple[SlateItem, ...]
    words: tuple[str, ...]


class Both(NamedTuple):
    """The profile at a slate's making, and as it would have been."""

    known: Profile
    without: Profile


async def without_event(window: Window, slate: Slate, event_id: EventId) -> WithoutIt:
    """Raises: Missing, where the shopper has no such event before the slate; BrokerUnavailable, Overloaded."""
    past = await window.past.of(slate.user_id, slate.trigger.partition, MOST)
    both = profiles(slate, past, event_id, window.settings.stream.event_limit)
    asks = [asked_again(window, slate, profile) for profile in both]
    again, without = await window.parts.engine.recommend(asks)
    return WithoutIt(again.items, without.items, (*_held(past), _compared(slate, again, without)))


def profiles(slate: Slate, past: Past, event_id: EventId, limit: int) -> Both:
    """The fold up to where the slate was made. Raises: Missing."""
    known = without = Profile(slate.user_id)
    met = False
    for record, event in _events(past.records, limit):
        if _over(slate, past, known, record, event):
            break
        position = Position("", record.partition, record.offset)
        known = apply(known, position, event).profile
        if event.event_id == event_id:
            met = True
        else:
            without = apply(without, position, event).profile
    if not met:
        raise Missing(
            f"this shopper has no event {event_id!r} before this slate in the last {past.looked_at:,} records"
        )
    return Both(known, without)


def _over(slate: Slate, past: Past, known: Profile, record: Any, event: AnyEvent) -> bool:
    """Whether a record came after the slate. Versions count records: where the log is not whole, only offsets tell."""
    later = bool(record.offset > slate.trigger.offset)
    if past.whole and known.version >= slate.profile_version:
        return True
    return later and (not past.whole or kind_of(event) in ANSWERED)


def _events(records: Iterable[Any], limit: int) -> Iterable[tuple[Any, AnyEvent]]:
    for record in records:
        try:
            yield record, decode_event(record.value, record.key, record.headers, record.timestamp, limit)
        except BadInput:
            continue  # a dead letter: it was in no profile


def _held(past: Past) -> tuple[str, ...]:
    if past.whole:
        return ()
    return (f"Only the last {past.looked_at:,} records of the partition were read: what came before is in neither.",)


def _compared(slate: Slate, again: Slate, without: Slate) -> str:
    shown, now = [slot.item_id for slot in slate.items], [slot.item_id for slot in again.items]
    same = "the same items as were shown" if shown == now else "other items than were shown: the shop has moved on"
    moved = len(set(now) - {slot.item_id for slot in without.items})
    return f"Made again with every event it has {same}; without this one {moved} of {len(now)} items are others."
