"""Any item, looked up: who sees it, what keeps it from everybody, and its way through the stages for one shopper."""

from itertools import islice
from time import time

from contracts.events import EventId, ItemId, UserId
from contracts.items import text_of
from contracts.messages import CatalogueItem, Trigger
from contracts.operator_api import ItemView, Seen, Step
from contracts.profile import Profile
from contracts.topics import CLICKSTREAM
from inference.ask import Ask
from inference.engine import Engine
from inference.fate import Turn
from storefront.shopper import asked
from storefront.window import Window
from streams.names import physical

SHOWN = 20  # slates


async def item_view(window: Window, item_id: ItemId, user: UserId | None) -> ItemView:
    """Everything about one item. Raises: Unavailable, where a model failed."""
    item, away, seen = window.item(item_id), list[str](), _seen(window, item_id)
    embedded = await window.parts.engine.ask(lambda engine: _has_vector(engine, item_id))
    steps = await _steps(window, item_id, user, away) if user is not None and item is not None else ()
    return ItemView(
        item_id=item_id, item=item, words=_words(item, embedded, len(seen)), in_slates=len(seen),
        of_slates=len(window.hub.latest), seen=tuple(islice(reversed(seen), SHOWN)), steps=steps, away=tuple(away),
    )  # fmt: skip


def _seen(window: Window, item_id: ItemId) -> list[Seen]:
    return [
        Seen(
            user_id=slate.user_id, recommendation_id=slate.recommendation_id, made_ms=slate.made_ms, place=place,
            source=slot.source, reason=slot.reason,
        )
        for slate in window.hub.latest
        for place, slot in enumerate(slate.items, 1)
        if slot.item_id == item_id
    ]  # fmt: skip


def _has_vector(engine: Engine, item_id: ItemId) -> bool:
    row = engine.table.row_of.get(item_id)
    return row is not None and bool(engine.table.has_vector[row])


def _words(item: CatalogueItem | None, embedded: bool, slates: int) -> tuple[str, ...]:
    if item is None:
        return ("Nobody sees it: the catalogue has no such item, or it was taken out.",)
    words = []
    if not item.available:
        words.append("Nobody sees it: it is out of stock.")
    if not text_of(item):
        words.append("It has no words: only what shoppers do says what it is.")
    elif not embedded:
        words.append("Its text has no vector yet: until a worker makes one it is offered as an item without words.")
    if item.group:
        words.append(f"It is a variant of {item.group!r}: a slate shows one of them, the best placed.")
    words.append(f"It stands in {slates:,} of the last slates." if slates else "It stands in none of the last slates.")
    return tuple(words)


async def _steps(window: Window, item_id: ItemId, user: UserId, away: list[str]) -> tuple[Step, ...]:
    profile = await asked(window.profile(user), "Redis", away)
    if away:
        return ()
    slate = window.hub.last(user)
    ask = Ask(profile or Profile(user), slate.trigger if slate else _trigger(window, user))
    turns = await window.parts.engine.ask(lambda engine: engine.fate(ask, item_id))
    return tuple(map(_step, turns))


def _trigger(window: Window, user: UserId) -> Trigger:
    topic = physical(window.settings.kafka, CLICKSTREAM)
    return Trigger(
        event_id=EventId(f"operator-{user}"), topic=topic, partition=window.partition(user), offset=-1,
        time_ms=int(time() * 1000),
    )  # fmt: skip


def _step(turn: Turn) -> Step:
    return Step(stage=turn.stage, passed=turn.passed, words=turn.words)
