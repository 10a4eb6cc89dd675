"""A slate for a page: the stream's own where it is fresh and has what the page did, else one computed now."""

import asyncio
from hashlib import blake2b
from time import monotonic, time

import msgspec
from msgspec.structs import replace

from contracts.api import Recommendations, RecommendationsQuery, Slot
from contracts.errors import Missing, Reason, StoreUnavailable, Unacceptable, Unreadable
from contracts.events import EventId, ItemId, UserId
from contracts.messages import Slate, Trigger
from contracts.profile import Profile
from contracts.surfaces import HOME, Surface
from contracts.topics import CLICKSTREAM
from inference.ask import Ask, Wish
from inference.page import on_the_page
from storefront.token import has, offset_for
from storefront.window import Window
from streams.names import physical
from streams.recommend import STORE_AWAY
from streams.rules import IN_FORCE_MS

FIRST_LOOK, LONGEST_LOOK = 0.005, 0.04  # seconds between two looks for an event that is on its way


async def recommend(window: Window, user: UserId, query: RecommendationsQuery) -> Recommendations | bytes:
    """What ``GET /v1/recommendations`` answers, the stream's own slate as the JSON that it was before.

    Raises: BadInput, Missing, Overloaded.
    """
    surface = _surface_of(window, query)
    offset = offset_for(query.after, window.partition(user)) if query.after else -1
    plain = _plain(query)
    if plain and (slate := fresh(window, user, offset)) is not None:
        return window.encoded.of(slate, lambda slate: encode_answer(window, slate))
    try:
        profile = await _folded(window, user, offset, query.wait_ms / 1000)
    except StoreUnavailable:
        return await _without_profile(window, user, query, surface)
    if plain and (slate := fresh(window, user, max(offset, profile.answered))) is not None:
        return answer(window, slate, current=has(profile, offset), computed=False)
    slate = await _computed(window, profile, query, surface)
    return answer(window, slate, current=has(profile, offset), computed=True)


async def _without_profile(
    window: Window, user: UserId, query: RecommendationsQuery, surface: Surface
) -> Recommendations:
    """While profiles are away: the fresh slate in memory, else one for a shopper of whom nothing is known."""
    slate = fresh(window, user, -1) if _plain(query) else None
    computed = slate is None
    if slate is None:
        slate = await _computed(window, Profile(user), query, surface)
    return answer(window, replace(slate, degraded=STORE_AWAY), current=not query.after, computed=computed)


def fresh(window: Window, user: UserId, offset: int) -> Slate | None:
    """The stream's last slate of a shopper, if it is young and answers an event at ``offset`` or later.

    One that may have been made under other rules than those of now is not young.
    """
    slate = window.hub.last(user)
    if slate is None or slate.trigger.offset < offset:
        return None
    now_ms = int(time() * 1000)
    turned_ms = window.parts.engine.rules_turned_ms(now_ms) + IN_FORCE_MS
    return slate if slate.made_ms > max(now_ms - window.settings.api.fresh_seconds * 1000, turned_ms) else None


async def _folded(window: Window, user: UserId, offset: int, seconds: float) -> Profile:
    """The profile, once it has the event at ``offset``, or as it is at the deadline."""
    deadline, pause = monotonic() + seconds, FIRST_LOOK
    profile = await window.profile(user)
    while not has(profile, offset) and monotonic() < deadline:
        await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
        pause = min(2 * pause, LONGEST_LOOK)
        profile = await window.profile(user)
    return profile or Profile(user)


def _plain(query: RecommendationsQuery) -> bool:
    """Whether the stream's slates are what is asked for."""
    return query.surface == HOME and query.limit is None and not wish_of(query)


def wish_of(query: RecommendationsQuery) -> Wish | None:
    """The filters; None for none."""
    item = (ItemId(query.item_id),) if query.item_id else ()
    wish = Wish(query.category, query.min_price, query.max_price, (*ids(query.exclude), *item))
    return None if wish == Wish() else wish


def ids(joined: str) -> tuple[ItemId, ...]:
    """Item ids parted by commas."""
    return tuple(ItemId(each.strip()) for each in joined.split(",") if each.strip())


def _surface_of(window: Window, query: RecommendationsQuery) -> Surface:
    """What is asked for. Raises: Unreadable, naming what there is."""
    surfaces = window.parts.engine.surfaces
    surface = surfaces.get(query.surface)
    if surface is None:
        raise Unreadable(Reason.INVALID_FIELD, surfaces.unknown(query.surface))
    return surface


def ask_of(window: Window, profile: Profile, query: RecommendationsQuery, surface: Surface) -> Ask:
    """What the engine is asked. The same profile and query have the same recommendation id.

    Raises: Unacceptable, Missing.
    """
    now_ms = int(time() * 1000)
    asked = replace(query, after="", wait_ms=0, user_id=None)
    digest = blake2b(msgspec.json.encode(asked), digest_size=6).hexdigest()
    trigger = Trigger(
        event_id=EventId(f"api-{profile.user_id}-{profile.version}-{digest}"),
        topic=physical(window.settings.kafka, CLICKSTREAM), partition=window.partition(profile.user_id),
        offset=profile.answered, time_ms=now_ms,
    )  # fmt: skip
    shown = _shown(window, profile, query, surface, now_ms)
    return Ask(shown, trigger, surface.name, query.limit, wish_of(query))


async def _computed(window: Window, profile: Profile, query: RecommendationsQuery, surface: Surface) -> Slate:
    """A slate made now; what was asked for is kept, so that it can be made again. Raises: Overloaded."""
    slate = await window.slate(ask_of(window, profile, query, surface))
    window.queries.put(slate.recommendation_id, replace(query, user_id=None, after=""))
    return slate


def asked_again(window: Window, slate: Slate, profile: Profile) -> Ask:
    """The ask that a slate answered, with another profile: as the stream asks, or as the page asked.

    Raises: Unacceptable, Missing, where the page's item is gone since.
    """
    query = window.queries.get(slate.recommendation_id)
    if query is None:
        return Ask(profile, slate.trigger, slate.surface)
    shown = _shown(window, profile, query, _surface_of(window, query), slate.trigger.time_ms)
    return Ask(shown, slate.trigger, slate.surface, query.limit, wish_of(query))


def _shown(window: Window, profile: Profile, query: RecommendationsQuery, surface: Surface, now_ms: int) -> Profile:
    """The profile with what stands on the page. Raises: Unacceptable, Missing."""
    items = (_item_of(window, query),) if surface.page == "item" else ids(query.items)
    return on_the_page(profile, surface, items, now_ms)


def _item_of(window: Window, query: RecommendationsQuery) -> ItemId:
    if query.item_id is None:
        raise Unacceptable(Reason.INVALID_FIELD, f"surface={query.surface} needs item_id")
    if window.item(ItemId(query.item_id)) is None:
        raise Missing(f"there is no item {query.item_id!r} in the catalogue")
    return ItemId(query.item_id)


def encode_answer(window: Window, slate: Slate) -> bytes:
    """The stream's newest slate of a shopper as JSON."""
    return msgspec.json.encode(answer(window, slate, current=True, computed=False))


def answer(window: Window, slate: Slate, current: bool, computed: bool) -> Recommendations:
    """A slate with its items as the catalogue has them; what is sold out or gone since is left out."""
    known = [(window.item(slot.item_id), slot) for slot in slate.items]
    return Recommendations(
        recommendation_id=slate.recommendation_id, user_id=slate.user_id, surface=slate.surface,
        items=tuple(
            Slot(item=item, score=slot.score, source=slot.source, reason=slot.reason, rules=slot.rules)
            for item, slot in known if item is not None and item.available
        ),
        current=current, computed=computed, answers=slate.trigger.event_id, time_ms=slate.trigger.time_ms,
        made_ms=slate.made_ms or int(time() * 1000), profile_version=slate.profile_version, bundle=slate.bundle,
        degraded=slate.degraded, stages=slate.stages,
    )  # fmt: skip
