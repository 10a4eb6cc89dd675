"""The bytes of everything that outlives a process. Old bytes must decode for ever; new bytes must not change unnoticed.

After a change that is meant, ``python tests/golden/test_bytes.py`` writes what is missing. Files that are there are
never written again: a changed encoding needs a new name beside the old one, which stays as an old file to be read.
"""

from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from contracts.bundle import Figure, FileEntry, Graph, Manifest, Parity, Tensor, TrainingFacts, Version
from contracts.codec import (
    decode_embedding,
    decode_event,
    decode_item,
    decode_profile,
    decode_slate,
    encode_embedding,
    encode_json,
    encode_profile,
)
from contracts.events import (
    KIND_OF,
    AnyEvent,
    BundleDigest,
    CartAdd,
    CartRemove,
    Checkout,
    Click,
    Consent,
    EventId,
    Forget,
    Hide,
    Impression,
    ItemId,
    Kind,
    Line,
    Purchase,
    RecommendationId,
    Refund,
    Review,
    Search,
    UserId,
    View,
    Wishlist,
)
from contracts.messages import CatalogueItem, Embedding, Probabilities, Slate, SlateItem, StageTiming, Trigger
from contracts.profile import Bought, History, Loyalty, Position, Profile
from streams.store.connection import LIBRARY

FOLDER = Path(__file__).with_name("bytes")
TIME_MS = 1_767_225_600_123
HEAD: dict[str, Any] = {
    "event_id": "e-1", "user_id": "用户 1", "time_ms": TIME_MS, "session_id": "s-1", "anonymous_id": "a-1",
}  # fmt: skip
ONE: dict[str, Any] = {"item_id": "i-1", "recommendation_id": "r-1", "position": 3}
LINES = (Line(item_id="i-1", quantity=2, price=9.99), Line(item_id="i-2"))


class Example(NamedTuple):
    """A value, and the two ways between it and its bytes."""

    value: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _event(raw: bytes) -> AnyEvent:
    return decode_event(raw, "用户 1".encode(), [], TIME_MS)


def _events() -> dict[str, Example]:
    events: list[AnyEvent] = [
        Impression(**HEAD, items=("i-1", "i-2"), recommendation_id="r-1"), Click(**HEAD, **ONE), View(**HEAD, **ONE),
        CartAdd(**HEAD, **ONE, quantity=2, price=0.1), CartRemove(**HEAD, **ONE), Wishlist(**HEAD, **ONE),
        Checkout(**HEAD, lines=LINES),
        Purchase(**HEAD, lines=LINES, order_id="o-1", currency="EUR", recommendation_id="r-1"),
        Refund(**HEAD, lines=LINES, order_id="o-1"), Search(**HEAD, query="blue \"trail\" shoe\n"),
        Review(**HEAD, **ONE, rating=4.5, text="good"), Hide(**HEAD, **ONE), Consent(**HEAD, granted=False),
        Forget(**HEAD),
    ]  # fmt: skip
    return {f"event-{KIND_OF[type(e)].name.lower()}.json": Example(e, encode_json, _event) for e in events}


ITEM = CatalogueItem(
    item_id="i-1", title="Trail shoe", description="For mud.", category=("Sport", "Shoes"), brand="Hill", price=89.5,
    stock=7, group="g-1", added_ms=TIME_MS,
)  # fmt: skip
SLATE = Slate(
    recommendation_id=RecommendationId("r-1"),
    user_id=UserId("用户 1"),
    surface="home",
    items=(
        SlateItem(
            item_id=ItemId("i-1"), score=0.125, source="follows", reason="often follows what you saw", propensity=0.5,
            probabilities=Probabilities(click=0.1, cart=0.01, purchase=1e-9),
        ),
        SlateItem(item_id=ItemId("i-2"), score=-1.5, source="trending", reason="trending now", propensity=1.0),
    ),
    trigger=Trigger(event_id=EventId("e-1"), topic="clickstream", partition=3, offset=2**40, time_ms=TIME_MS),
    profile_version=12,
    bundle=BundleDigest("b" * 64),
    stages=(StageTiming(stage="ranker", microseconds=1500, slates=3),),
    degraded="no model",
    arm="bestsellers",
    made_ms=TIME_MS + 20,
)  # fmt: skip
EMBEDDING = Embedding(item_id="i-1", bundle=BundleDigest("b" * 64), text_digest="0123456789abcdef", vector=b"\0<\0\xc0")
PROFILE = Profile(
    user_id=UserId("用户 1"),
    version=300,
    position=Position("q1w2e3r4t5y6u7i8o9p0aQ", 3, 2**40),
    answered=2**40 - 1,
    history=History((ItemId("i-1"), ItemId("i-2")), (2, 8), (TIME_MS, TIME_MS + 1)),
    shown=(ItemId("i-3"),),
    bought=Bought((ItemId("i-2"),), (TIME_MS + 1,), (4,)),
    hidden=(ItemId("i-4"),),
    cart=(ItemId("i-1"),),
    queries=("blue shoe",),
    counts=tuple(range(len(Kind))),
    loyalty=Loyalty(4, 2, TIME_MS - 9, TIME_MS + 1, 0.1 + 0.2),
    consent=True,
    recent_ids=(2**64 - 1, 0),
    first_ms=TIME_MS - 9,
    last_ms=TIME_MS + 1,
    erased_ms=TIME_MS - 10,
)
MANIFEST = Manifest(
    schema=1, name="demo", features_version=1, features=("co_occurrence",), heads=("click",), text_dim=64, delta_dim=8,
    max_tokens=32, history_limit=50, files=(FileEntry(name="ranker.onnx", sha256="0" * 64, bytes=5),),
    graphs=(Graph(file="ranker.onnx", opset=20, inputs=(Tensor(name="x", dtype="float32", axes=("b", 8)),),
                  outputs=()),),
    parity=(Parity(file="ranker.onnx", max_abs_difference=1e-6, rank_correlation=1.0, top10_kept=1.0,
                   tolerance=1e-3),),
    training=TrainingFacts(data_digest="d", events=1, shoppers=1, items=1, seed=0,
                           metrics=(Figure(name="ndcg@10", value=0.06),)),
    versions=(Version(library="torch", version="2"),),
)  # fmt: skip

EXAMPLES: dict[str, Example] = {
    **_events(),
    "event-view-least.json": Example(View(event_id="e", user_id="用户 1", time_ms=TIME_MS, item_id="i"), encode_json,
                                     _event),
    "item.json": Example(ITEM, encode_json, decode_item),
    "item-least.json": Example(CatalogueItem(item_id="i"), encode_json, decode_item),
    "slate.json": Example(SLATE, encode_json, decode_slate),
    "embedding.msgpack": Example(EMBEDDING, encode_embedding, decode_embedding),
    "profile.msgpack": Example(PROFILE, encode_profile, decode_profile),
    "profile-new.msgpack": Example(Profile(UserId("u")), encode_profile, decode_profile),
    "manifest.json": Example(MANIFEST, lambda m: msgspec.json.encode(m, order="deterministic"),
                             msgspec.json.Decoder(Manifest).decode),
}  # fmt: skip

#: What earlier versions wrote, or others may write, and what it means today.
OLD: dict[str, Example] = {
    "old-profile-short.msgpack": Example(Profile(UserId("u"), 7, Position("e", 1, 9)), encode_profile, decode_profile),
    "old-event-unknown-field.json": Example(
        View(event_id="e", user_id="用户 1", time_ms=TIME_MS, item_id="i"), encode_json, _event
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_bytes_are_as_they_were(name: str) -> None:
    example, golden = EXAMPLES[name], (FOLDER / name).read_bytes()
    assert example.encode(example.value) == golden
    assert example.decode(golden) == example.value


@pytest.mark.parametrize("name", OLD)
def test_old_bytes_decode(name: str) -> None:
    assert OLD[name].decode((FOLDER / name).read_bytes()) == OLD[name].value


def test_every_file_is_read_and_every_event_type_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*EXAMPLES, *OLD}
    assert {type(example.value) for example in EXAMPLES.values()} >= set(KIND_OF)


def test_the_servers_functions_change_only_with_their_number() -> None:
    """Workers of two versions share a server: other functions under the same name would be taken for ours."""
    source = files("streams.store").joinpath("daogou.lua").read_bytes()
    assert (LIBRARY, sha256(source).hexdigest()) == ("daogou_1", LUA_SHA256)


LUA_SHA256 = "0e476f178d5ed987d6724bf9331fcbf007769692448896c598c8218716cdda5e"


if __name__ == "__main__":
    for name, example in EXAMPLES.items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_bytes(example.encode(example.value))
