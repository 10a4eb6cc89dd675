"""A tiny shop whose right answers are known: items of a few words and categories, shoppers made of their events."""

from collections.abc import Iterable, Sequence

from contracts.bundle import Bundle
from contracts.events import AnyEvent, EventId, ItemId, UserId, View
from contracts.messages import CatalogueItem, Trigger
from contracts.profile import Position, Profile, apply
from contracts.settings import EngineSettings, ModelSettings
from contracts.statistics import Increments
from inference.ask import Ask
from inference.engine import Engine

NOW_MS = 1_767_225_600_000
DAY_MS = 86_400_000
THINGS = ("shoe", "lamp", "tea", "tent", "book", "chair")
BRANDS = ("red", "blue", "green")


def item(number: int, **changes: object) -> CatalogueItem:
    """Item ``i<number>``: its thing is ``THINGS[number % 6]``, which is its category too."""
    thing = THINGS[number % len(THINGS)]
    fields = {
        "item_id": f"i{number}", "title": f"{thing} {number}", "category": ("all", thing),
        "brand": BRANDS[number % len(BRANDS)], "price": 10.0 + number % 7, "stock": 5,
        "added_ms": NOW_MS - number * DAY_MS,
    }  # fmt: skip
    return CatalogueItem(**{**fields, **changes})  # type: ignore[arg-type]


def thing_of(item_id: str) -> str:
    """The thing (and category) of an item of this shop."""
    return THINGS[int(item_id[1:]) % len(THINGS)]


def engine_with(bundle: Bundle | None, items: Iterable[CatalogueItem], **settings: object) -> Engine:
    """An engine that knows these items and their vectors."""
    engine = Engine(bundle, EngineSettings(**settings), ModelSettings())  # type: ignore[arg-type]
    stocked = list(items)
    for each in stocked:
        engine.upsert(each)
    for embedding in engine.embed(stocked):
        assert engine.set_embedding(embedding)
    return engine


def view(number: int, user: str = "u", age_ms: int = 60_000, item_id: str | None = None) -> View:
    """A view ``age_ms`` before ``NOW_MS``; ``number`` makes its id, and its item if none is named."""
    return View(event_id=f"{user}.{number}", user_id=user, time_ms=NOW_MS - age_ms, item_id=item_id or f"i{number}")


def profile_after(events: Sequence[AnyEvent], user: str = "u") -> Profile:
    """The profile after these events; an empty one after none."""
    profile = Profile(UserId(user))
    for offset, event in enumerate(events):
        profile = apply(profile, Position("t", 0, offset), event).profile
    return profile


def ask(profile: Profile, event_id: str = "e", limit: int | None = None) -> Ask:
    """One slate as of ``NOW_MS``."""
    trigger = Trigger(event_id=EventId(event_id), topic="clickstream", partition=0, offset=9, time_ms=NOW_MS)
    return Ask(profile, trigger, limit=limit)


def teach(engine: Engine, sequences: Iterable[Sequence[str]]) -> None:
    """Many shoppers viewed these items, each one of ``sequences`` in its order."""
    increments = Increments(engine.statistics.decay)
    for shopper, sequence in enumerate(sequences):
        profile = Profile(UserId(f"taught{shopper}"))
        for number, item_id in enumerate(sequence):
            event = view(number, f"taught{shopper}", 10_000_000 - number * 1000, item_id)
            increments.learn(profile, event)
            profile = apply(profile, Position("t", 0, number), event).profile
    engine.statistics.add(increments)


def ids_of(slate_items: Iterable[object]) -> list[ItemId]:
    """The ids of a slate's items, in order."""
    return [each.item_id for each in slate_items]  # type: ignore[attr-defined]
