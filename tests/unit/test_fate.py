"""An item's way through the stages agrees with the slate that the same stages make."""

from contracts.events import EventId, ItemId, UserId, View
from contracts.messages import CatalogueItem, Trigger
from contracts.profile import Profile, fold
from contracts.settings import EngineSettings, ModelSettings
from inference.ask import Ask
from inference.engine import Engine

NOW = 1_767_225_600_000
THINGS = ("shoe", "lamp", "tea")
ITEMS = [
    CatalogueItem(item_id=f"i{n}", title=f"{THINGS[n % 3]} number {n}", category=("all", THINGS[n % 3]), stock=n % 7)
    for n in range(60)
]


def test_what_passes_every_stage_is_what_is_in_the_slate() -> None:
    engine = Engine(None, EngineSettings(), ModelSettings())
    for item in ITEMS:
        engine.upsert(item)
    seen = View(event_id="e", user_id="u", time_ms=NOW, item_id="i3")
    profile = fold(Profile(UserId("u")), seen)
    ask = Ask(profile, Trigger(event_id=EventId("e"), topic="t", partition=0, offset=0, time_ms=NOW))
    (slate,) = engine.recommend([ask])
    places = {slot.item_id: place for place, slot in enumerate(slate.items, 1)}
    ends = set()
    for item in ITEMS:
        turns = engine.fate(ask, ItemId(item.item_id))
        assert all(turn.passed for turn in turns[:-1])
        assert turns[-1].passed == (item.item_id in places), (item.item_id, turns)
        ends.add(turns[-1].stage)
        if turns[-1].passed:
            assert turns[-1].words == f"place {places[ItemId(item.item_id)]} of the slate"
    assert {"filter met", "selector"} <= ends
    assert engine.fate(ask, ItemId("i0"))[-1].stage in ("sources", "filter unavailable")  # no stock
    assert not engine.fate(ask, ItemId("nowhere"))[-1].passed
