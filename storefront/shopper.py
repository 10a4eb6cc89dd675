"""Any shopper, looked up: what is in the log, in the store and in the last slates, and what it says in words.

A part that is away takes its own lines away, and no others.
"""

from collections.abc import Awaitable
from time import time
from typing import Any, TypeVar

from contracts.codec import decode_event
from contracts.errors import BadInput, Unavailable
from contracts.events import ItemId, UserId, items_of, kind_of
from contracts.messages import Slate
from contracts.operator_api import PastEvent, ShopperView
from contracts.profile import Profile
from storefront.known import profile_answer
from storefront.past import Past
from storefront.window import Window

SHOWN = 50  # events

T = TypeVar("T")


async def shopper_view(window: Window, user: UserId) -> ShopperView:
    """Everything about one shopper."""
    away: list[str] = []
    partition, slates = window.partition(user), window.hub.of(user)
    profile = await asked(window.profile(user), "Redis", away)
    past = await asked(window.past.of(user, partition), "Kafka", away)
    events = tuple(_event(window, record) for record in reversed(past.records[-SHOWN:])) if past else ()
    return ShopperView(
        user_id=user, words=tuple(_words(profile, past, slates, partition, away)), partition=partition,
        looked_at=past.looked_at if past else 0, events=events, slates=slates, away=tuple(away),
        profile=profile_answer(window, profile) if profile is not None else None,
    )  # fmt: skip


async def asked(answer: Awaitable[T], part: str, away: list[str]) -> T | None:
    """An answer, or None and a line in ``away``."""
    try:
        return await answer
    except Unavailable as error:
        away.append(f"{part}: {error}")
        return None


def _event(window: Window, record: Any) -> PastEvent:
    place = {"partition": record.partition, "offset": record.offset, "time_ms": record.timestamp}
    try:
        limit = window.settings.stream.event_limit
        event = decode_event(record.value, record.key, record.headers, record.timestamp, limit)
    except BadInput as error:
        return PastEvent(**place, error=f"{error.reason.value}: {error}")
    receipt = getattr(event, "recommendation_id", None) or ""
    return PastEvent(
        partition=record.partition, offset=record.offset, time_ms=event.time_ms, event_id=event.event_id,
        kind=kind_of(event).name.lower(), items=tuple(map(ItemId, items_of(event))), recommendation_id=receipt,
    )  # fmt: skip


def _words(profile: Profile | None, past: Past | None, slates: tuple[Slate, ...], partition: int, away: list[str]
           ) -> list[str]:  # fmt: skip
    if not (profile or (past and past.records) or slates or away):
        return [
            "Nothing is known of this shopper: no profile, no slate of the last minutes, and no record among the "
            f"{past.looked_at if past else 0:,} newest of partition {partition}. A first visit sees what is liked most."
        ]
    words = [f"Their events are in partition {partition}."]
    if profile is None and not away:
        words.append("There is no profile: none was made yet, or it was not touched for too long.")
    elif profile is not None:
        words += _of_profile(profile)
    if slates:
        seconds = max(0.0, time() - slates[0].made_ms / 1000)
        words.append(f"The last slate is {seconds:,.0f} s old and has {len(slates[0].items)} items.")
    else:
        words.append("No slate of the last minutes.")
    return words


def _of_profile(profile: Profile) -> list[str]:
    words = [f"The profile is at version {profile.version} and knows {sum(profile.counts):,} events."]
    if profile.consent is False:
        words.append("They refused personal recommendations: slates are as for a stranger.")
    if profile.erased_ms:
        words.append("They had themselves forgotten once; what came before is not known.")
    return words
