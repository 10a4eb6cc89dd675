"""What is kept so that a request need not make it again is never older than what it was made of."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from contracts.api import RecommendationsQuery
from contracts.errors import CallerRefused, Overloaded, Unreadable
from contracts.events import ItemId, RecommendationId, UserId
from contracts.messages import CatalogueItem, Slate, SlateItem, Trigger
from contracts.settings import ApiSettings, Environment
from storefront import access
from storefront.access import Access, Role, entry_of, new_key
from storefront.batcher import Batcher
from storefront.encoded import Encoded
from storefront.endpoint import QueryReader
from storefront.hub import WAITING, Listener, Numbered

TRIGGER = Trigger(event_id="e", topic="t", partition=0, offset=0, time_ms=1)  # type: ignore[arg-type]


def slate(user: str, number: int = 0) -> Slate:
    items = tuple(
        SlateItem(item_id=ItemId(f"i{n}"), score=1.0, source="s", reason="r", propensity=1.0) for n in range(3)
    )
    return Slate(
        recommendation_id=RecommendationId(f"{user}-{number}"), user_id=UserId(user), surface="home", items=items,
        trigger=TRIGGER, profile_version=1, bundle=None,
    )  # fmt: skip


def test_an_answer_is_made_again_when_its_slate_or_an_item_is_another() -> None:
    shop = {ItemId(f"i{n}"): CatalogueItem(item_id=ItemId(f"i{n}"), title="a", price=1.0) for n in range(3)}
    made: list[str] = []

    def encode(found: Slate) -> bytes:
        made.append(found.recommendation_id)
        return found.recommendation_id.encode()

    encoded, first = Encoded(shop.get, most=2), slate("ann")
    assert [encoded.of(first, encode) for _ in range(3)] == [b"ann-0"] * 3
    assert made == ["ann-0"]
    shop[ItemId("i1")] = replace(shop[ItemId("i1")], price=2.0)
    encoded.of(first, encode)
    del shop[ItemId("i2")]
    encoded.of(first, encode)
    assert made == ["ann-0"] * 3
    assert encoded.of(slate("ann", 1), encode) == b"ann-1"
    for user in ("bob", "eve", "ann"):  # one too many: ann is forgotten, and made again
        encoded.of(slate(user), encode)
    assert made[3:] == ["ann-1", "bob-0", "eve-0", "ann-0"]


def test_a_query_is_read_whole_or_refused() -> None:
    reader = QueryReader(RecommendationsQuery)
    assert reader.read(b"user_id=u&limit=&category=a%26b+c") == RecommendationsQuery(user_id="u", category="a&b c")
    assert reader.read(b"") == RecommendationsQuery()
    for wrong, said in ((b"a=1", "no parameter a"), (b"limit=1&limit=2", "limit is there"), (b"limit=x", "query: ")):
        with pytest.raises(Unreadable, match=said):
            reader.read(wrong)


def test_a_caller_is_known_by_a_digest_and_no_longer_than_the_token_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(Role.SERVER)
    found = Access(ApiSettings(keys=(entry_of(key),), visitor_days=1.0), Environment.DEVELOPMENT)
    token, seconds = found.visitor(UserId("ann"))
    for _ in range(2):
        assert found.who(f"Bearer {key}").role is Role.SERVER
        assert found.who(f"Bearer {token}").user == "ann"
    assert key not in repr(found._known)
    assert token not in repr(found._known)
    for wrong in (f"Bearer {key} x", f"Bearer {token}x", key, f"bearer {key}"):
        with pytest.raises(CallerRefused):
            found.who(wrong)
    later = time.time() + seconds + 2
    monkeypatch.setattr(access, "time", lambda: later)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert found.who(f"Bearer {key}").role is Role.SERVER
    with pytest.raises(CallerRefused, match="has expired"):
        found.who(f"Bearer {token}")


async def test_nobody_waits_longer_than_the_deadline_and_who_gave_up_is_left_out() -> None:
    gate, seen = asyncio.Event(), list[int]()

    async def work(asked: Sequence[int]) -> Sequence[int]:
        await gate.wait()
        seen.extend(asked)
        return asked

    batcher = Batcher("the log", work, most=1, queue=10, seconds=0.05)
    answers = await asyncio.gather(*(batcher.ask(n) for n in range(3)), return_exceptions=True)
    assert all(isinstance(each, Overloaded) and "within 0.05 s" in str(each) for each in answers)
    gate.set()
    assert await batcher.ask(3) == 3
    assert seen == [0, 3]


def test_a_page_that_reads_too_slowly_is_told_to_come_again() -> None:
    page = Listener()
    for number in range(WAITING):
        page.hear(Numbered(number, None))
    assert not page.missed
    page.hear(Numbered(WAITING, None))
    assert page.missed
    assert page.qsize() == WAITING
