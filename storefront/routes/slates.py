"""``GET /v1/recommendations`` and its receipt, ``GET /v1/stream``: what shoppers see."""

from collections.abc import AsyncIterator

import msgspec
from msgspec.structs import replace
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from contracts.api import Recommendations, Share, Why, WhyItem, WhyQuery
from contracts.errors import Missing, Reason, Unreadable
from contracts.events import EventId, RecommendationId, UserId
from contracts.features import FEATURES
from contracts.messages import RuleEffect, Slate, SlateItem
from contracts.profile import History, Profile
from contracts.rules import Action
from inference.account import Account
from inference.ask import Ask
from storefront.access import whose
from storefront.endpoint import Call
from storefront.recommending import answer, recommend
from storefront.window import Window
from storefront.without import WithoutIt, without_event

HEARTBEAT_SECONDS = 15
READING_SECONDS = 30
LONGEST_ID = 20  # digits; offsets are below 2**63
TOLD = 5  # features of an item that are named


async def get_recommendations(call: Call) -> Recommendations | bytes:
    """A slate."""
    return await recommend(call.window, whose(call.caller, call.query.user_id), call.query)


async def get_stream(call: Call) -> Response:
    """The visitor's new slates, for as long as the page listens. ``Last-Event-ID`` goes on where it ended."""
    user, last = whose(call.caller, call.query.user_id), call.request.headers.get("last-event-id", "")
    if last and not (last.isdecimal() and len(last) < LONGEST_ID):
        raise Unreadable(Reason.INVALID_FIELD, "Last-Event-ID: this is no id of this stream")
    call.window.hub.room()
    return EventSourceResponse(
        _slates(call.window, user, int(last) if last else None), ping=HEARTBEAT_SECONDS,
        send_timeout=READING_SECONDS, headers={"Cache-Control": "no-store"},
    )  # fmt: skip


async def _slates(window: Window, user: UserId, after: int | None) -> AsyncIterator[ServerSentEvent]:
    """Listens from its first step on: a caller who was gone before that leaves nothing behind."""
    open_streams, queue = window.parts.metrics.streams, window.hub.open(user, after)
    open_streams.set(window.hub.listening)
    try:
        while not queue.missed:
            each = await queue.get()
            if each.slate is None:
                yield ServerSentEvent("{}", event="forgotten", id=str(each.offset))
            else:
                found = msgspec.json.encode(answer(window, each.slate, current=True, computed=False))
                yield ServerSentEvent(found.decode(), event="slate", id=str(each.offset))
    finally:
        window.hub.close(user, queue)
        open_streams.set(window.hub.listening)


async def get_why(call: Call) -> Why:
    """A slate's receipt in words; each feature's share; and the slate without an item or an event of the shopper's."""
    slate = call.window.hub.by_id(RecommendationId(call.path["recommendation_id"]))
    if slate is None or (call.caller.user is not None and slate.user_id != call.caller.user):
        raise Missing("no such slate was seen lately; receipts of the last minutes are kept")
    profile = await call.window.profile(slate.user_id) or Profile(slate.user_id)
    ask = Ask(profile, slate.trigger, slate.surface, max(1, len(slate.items)))
    shown = [slot.item_id for slot in slate.items]
    found = await call.window.parts.engine.ask(lambda engine: engine.account(ask, shown))
    account = await _otherwise(call, slate, ask)
    before = tuple(slot.item_id for slot in account.again) or tuple(shown)
    others = tuple(slot.item_id for slot in account.without)
    return Why(
        recommendation_id=slate.recommendation_id,
        words=(*_words(call.window, slate), *account.words),
        items=tuple(map(_why, slate.items, found)),
        again=account.again,
        without=account.without,
        gone=tuple(item for item in before if others and item not in others),
        come=tuple(item for item in others if item not in before),
    )


async def _otherwise(call: Call, slate: Slate, ask: Ask) -> WithoutIt:
    """What was asked about: the slate without an item, without an event, or nothing."""
    query: WhyQuery = call.query
    if query.without and query.without_event:
        raise Unreadable(Reason.INVALID_FIELD, "without and without_event: ask for one of them at a time")
    if query.without_event:
        return await without_event(call.window, slate, EventId(query.without_event))
    return WithoutIt((), await _without(call.window, ask, query.without) if query.without else (), ())


async def _without(window: Window, ask: Ask, item: str) -> tuple[SlateItem, ...]:
    """The slate had the shopper never met ``item``. Raises: Missing."""
    past = ask.profile.history
    kept = [place for place, met in enumerate(past.items) if met != item]
    if len(kept) == len(past.items):
        raise Missing(f"this shopper never met {item!r}")
    history = History(
        tuple(past.items[place] for place in kept),
        tuple(past.kinds[place] for place in kept),
        tuple(past.times_ms[place] for place in kept),
    )
    cart = tuple(each for each in ask.profile.cart if each != item)
    profile = replace(ask.profile, history=history, cart=cart)
    slates = await window.parts.engine.recommend([ask._replace(profile=profile)])
    return slates[0].items


def _why(slot: SlateItem, account: Account) -> WhyItem:
    shares = [
        Share(feature=name, value=round(value, 6), share=round(share, 6))
        for name, value, share in zip(FEATURES, account.values, account.shares, strict=True)
    ]
    shares.sort(key=lambda each: -abs(each.share))
    return WhyItem(
        item_id=slot.item_id, source=slot.source, reason=slot.reason, score=account.score, shares=tuple(shares[:TOLD])
    )  # fmt: skip


def _rule_words(effect: RuleEffect) -> str:
    did = {Action.BOOST: "raised", Action.BURY: "lowered", Action.PIN: "placed", Action.HIDE: "hid"}[effect.action]
    of = "candidate" if effect.action is Action.HIDE else "item"
    return f"The shop's rule {effect.rule_id} {did} {effect.items} {of}{'s' * (effect.items != 1)}."


def _words(window: Window, slate: Slate) -> tuple[str, ...]:
    """The receipt, a sentence each."""
    took = sum(stage.microseconds for stage in slate.stages) / 1000
    together = slate.stages[0].slates if slate.stages else 1
    lines = [
        f"It answers the event {slate.trigger.event_id}, record {slate.trigger.offset} of partition "
        f"{slate.trigger.partition}.",
        f"The profile was at version {slate.profile_version}.",
        f"It was made by bundle {slate.bundle[:12]}." if slate.bundle else "It was made without a model.",
        f"The stages took {took:.1f} ms for {together} slate{'s' * (together != 1)} at once.",
    ]
    if slate.made_ms:
        lines.append(f"It was published {max(0, slate.made_ms - slate.trigger.time_ms):,} ms after the event.")
    lines += [_rule_words(each) for each in slate.rules]
    if slate.degraded:
        lines.append(f"It is not at its best: {slate.degraded}.")
    return tuple(lines)
