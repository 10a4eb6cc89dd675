"""The operator's view beside a real worker: clicks by arm, dead letters and their way back, anybody, anything."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from msgspec.structs import replace

from contracts.events import UserId, View
from contracts.profile import Profile, fold
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, DEAD_LETTERS
from inference.ask import Ask
from storefront.board import Board
from storefront.past import Reader
from storefront.shopper import shopper_view
from streams.names import physical
from streams.producer import Outgoing
from streams.store import open_store
from tests.serving import ITEMS, Served, serving, view

PATIENCE = 30.0
HOSTILE = '<img src=x onerror="alert(1)">/../?&#'


class Operator:
    """Asks with the operator's key."""

    def __init__(self, served: Served) -> None:
        self.served, self.window = served, served.window
        assert served.window.parts.fresh is not None
        self._key = {"Authorization": f"Bearer {served.window.parts.fresh.operator}"}

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.served.nobody.get(path, params=query, headers=self._key, timeout=60)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def redrive(self, *at: str) -> Any:
        body = {"at": list(at)}
        return await self.served.nobody.post("/v1/operator/dead-letters/redrive", json=body, headers=self._key)

    async def letters(self, count: int, **query: Any) -> Any:
        """Once there are so many in all."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.get("/v1/operator/dead-letters", **query)
                if found["total"] >= count:
                    return found
                await asyncio.sleep(0.2)

    async def slate(self, *events: dict[str, Any]) -> Any:
        """Post events of one shopper. Returns the stream's slate that has them."""
        token = (await self.served.server.post("/v1/events", json=list(events))).json()["token"]
        query = {"user_id": events[-1]["user_id"], "after": token, "wait_ms": 10_000}
        async with asyncio.timeout(PATIENCE):
            while True:
                found = (await self.served.server.get("/v1/recommendations", params=query)).json()
                if not found["computed"]:
                    return found
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def operator(shop: Settings) -> AsyncIterator[Operator]:
    sold_out = replace(ITEMS[7], stock=0)
    async with serving(shop, [*ITEMS[:7], sold_out, *ITEMS[8:]]) as served:
        yield Operator(served)


def shown(user: str, receipt: str, kind: str = "impression") -> dict[str, Any]:
    event = view(user, "i1", type=kind, recommendation_id=receipt)
    if kind == "impression":
        event["items"] = [event.pop("item_id")]
    return event


async def test_clicks_on_slates_against_the_control_group(operator: Operator) -> None:
    slate = await operator.slate(view("ann", "i1"))
    receipt = slate["recommendation_id"]
    events = [shown("ann", receipt), shown("ann", receipt, "click")]
    for n in range(30):
        events += [
            shown(f"c{n}", f"bestsellers-{n}"),
            *([shown(f"c{n}", f"bestsellers-{n}", "click")] if n < 9 else []),
        ]
    await operator.served.server.post("/v1/events", json=events)
    async with asyncio.timeout(PATIENCE):
        while True:
            await operator.window.board.look()
            found = (await operator.get("/v1/operator"))["click_rates"]
            if sum(each["clicked"] for each in found["arms"]) == 10:
                break
    arms = {each["arm"]: (each["lists"], each["clicked"], each["shoppers"]) for each in found["arms"]}
    assert arms == {"daogou": (1, 1, 1), "control": (30, 9, 30)}
    assert "Too little data" in found["words"]
    assert found["ratio"]["low"] < found["ratio"]["value"] < found["ratio"]["high"]
    sample = (await operator.get("/v1/operator"))["samples"][-1]
    assert (sample["click_rate"], sample["control_rate"]) == (1.0, 0.3)


async def test_a_letter_is_found_opened_and_sent_back(operator: Operator) -> None:
    clickstream, letters = (physical(operator.window.settings.kafka, each) for each in (CLICKSTREAM, DEAD_LETTERS))
    mended = view("moved", "i1")
    await operator.window.send([
        Outgoing(clickstream, b"a", b"{\"type\": \"\xff\"}"), Outgoing(clickstream, b"b", HOSTILE.encode()),
        Outgoing(letters, None, b"written by somebody else"),  # no reason, no topic, no headers at all
        Outgoing(letters, b"x", None, None, (("daogou.reason", b"<b>"), ("daogou.failed-ms", b"soon"))),
    ])  # fmt: skip
    found = await operator.letters(4)
    reasons = {each["cause"]: each["count"] for each in found["reasons"]}
    assert reasons == {"not_applicable": 2, "not_utf8": 1, "not_json": 1}
    only = (await operator.get("/v1/operator/dead-letters", reason="not_json"))["letters"]
    assert [each["value"] for each in only] == [HOSTILE]
    at = only[0]["at"]
    whole = await operator.get("/v1/operator/dead-letters/one", at=at)
    assert (whole["letter"]["value"], whole["letter"]["attempts"], whole["binary"]) == (HOSTILE, 1, False)
    other = next(each for each in found["letters"] if each["reason"] == "not_utf8")
    assert (await operator.get("/v1/operator/dead-letters/one", at=other["at"]))["binary"]
    assert (await operator.redrive(at)).json() == {"sent": 1}
    again = await operator.letters(5)
    assert [each["attempts"] for each in again["letters"] if each["reason"] == "not_json"] == [2, 1]
    stranger = next(each["at"] for each in found["letters"] if each["value"] == "written by somebody else")
    refused = await operator.redrive(at, stranger)
    assert (refused.status_code, "only from" in refused.json()["detail"]) == (409, True)
    assert (await operator.redrive("0/999")).status_code == 404
    await operator.get("/v1/operator/dead-letters/one", 404, at="0/999")
    await operator.get("/v1/operator/dead-letters/one", 400, at="0/9'; drop")
    assert (await operator.redrive()).status_code == 400
    assert mended["user_id"] not in str(again)


async def test_ten_thousand_letters(operator: Operator) -> None:
    topic = physical(operator.window.settings.kafka, DEAD_LETTERS)
    codes = (b"not_json", b"empty", b"oversize")
    records = [
        Outgoing(topic, b"k", b"v" * 600, None, (("daogou.reason", codes[n % 3]), ("daogou.failed-ms", b"%d" % n)))
        for n in range(10_500)
    ]
    for start in range(0, len(records), 500):
        await operator.window.send(records[start : start + 500])
    found = await operator.letters(10_500, limit=500)
    assert (found["total"], found["looked_at"], len(found["letters"])) == (10_500, 10_000, 500)
    assert {each["cause"] for each in found["reasons"]} == {"not_json", "empty", "oversize"}
    assert sum(each["count"] for each in found["reasons"]) == 10_000
    assert [each["failed_ms"] for each in found["letters"][:2]] == [10_499, 10_498]
    assert max(len(each["value"]) for each in found["letters"]) == 300


async def test_anybody(operator: Operator) -> None:
    nobody = await operator.get("/v1/operator/shopper", user_id="never seen")
    assert "Nothing is known of this shopper" in nobody["words"][0]
    assert "profile" not in nobody
    await operator.get("/v1/operator/shopper", 400)
    slate = await operator.slate(view(HOSTILE, "i1"), view(HOSTILE, "i4"))
    topic = physical(operator.window.settings.kafka, CLICKSTREAM)
    await operator.window.send([Outgoing(topic, HOSTILE.encode(), b"{}", operator.window.partition(UserId(HOSTILE)))])
    found = await operator.get("/v1/operator/shopper", user_id=HOSTILE)
    assert found["user_id"] == HOSTILE
    assert [each.get("items") for each in found["events"]] == [None, ["i4"], ["i1"]]
    assert found["events"][0]["error"].startswith("unknown_type")
    assert [met["item_id"] for met in found["profile"]["history"]] == ["i4", "i1"]
    assert found["slates"][0]["recommendation_id"] == slate["recommendation_id"]
    assert found["slates"][0]["trigger"]["offset"] == found["events"][1]["offset"]


async def test_anything(operator: Operator) -> None:
    slate = await operator.slate(view("bob", "i1"))
    first = slate["items"][0]["item"]["item_id"]
    found = await operator.get("/v1/operator/item", item_id=first, user_id="bob")
    assert (found["in_slates"], found["seen"][0]["user_id"], found["seen"][0]["place"]) == (1, "bob", 1)
    assert found["steps"][-1]["stage"] == "selector"
    gone = await operator.get("/v1/operator/item", item_id="i7", user_id="bob")
    assert "out of stock" in gone["words"][0]
    assert not gone["steps"][-1]["passed"]
    met = await operator.get("/v1/operator/item", item_id="i1", user_id="bob")
    assert met["steps"][-1]["stage"] == "filter met"
    assert "no such item" in (await operator.get("/v1/operator/item", item_id=HOSTILE))["words"][0]


async def test_what_a_slate_would_have_been_without_an_event(operator: Operator) -> None:
    """As if it had never come: the same as a fold that never saw it, with the same engine and trigger."""
    user = UserId("what-if")
    first, second, third = (view(user, item) for item in ("i1", "i4", "i5"))
    await operator.slate(first)
    await operator.slate(second)
    slate = await operator.slate(third)
    url = f"/v1/recommendations/{slate['recommendation_id']}/why"
    why = await operator.get(url, without_event=third["event_id"])
    made = operator.window.hub.by_id(slate["recommendation_id"])
    assert made is not None
    profiles = [Profile(user)]
    for each in (first, second, third):
        event = View(**{name: each[name] for name in ("event_id", "user_id", "time_ms", "item_id")})
        profiles.append(fold(profiles[-1], event))
    asks = [Ask(profiles[number], made.trigger) for number in (2, 3)]
    without, again = await operator.window.parts.engine.recommend(asks)
    assert [each["item_id"] for each in why["without"]] == [slot.item_id for slot in without.items]
    assert [each["item_id"] for each in why["again"]] == [slot.item_id for slot in again.items]
    assert why["gone"]
    assert "Made again with every event" in why["words"][-1]
    await operator.get(url, 404, without_event="never")
    await operator.get(url, 400, without_event="a", without="i1")


async def test_a_slate_that_a_page_asked_for_without_an_event(operator: Operator) -> None:
    user = "page-if"
    events = [view(user, item) for item in ("i1", "i5")]
    await operator.slate(*events)
    query = {"user_id": user, "surface": "product", "item_id": "i2", "category": "tea", "limit": 5}
    async with asyncio.timeout(PATIENCE):
        while True:  # until what shoppers teach has come to rest
            slate = (await operator.served.server.get("/v1/recommendations", params=query)).json()
            url = f"/v1/recommendations/{slate['recommendation_id']}/why"
            why = await operator.get(url, without_event=events[0]["event_id"])
            if [each["item_id"] for each in why["again"]] == [slot["item"]["item_id"] for slot in slate["items"]]:
                break
    assert "the same items as were shown" in why["words"][-1]


async def test_what_is_away_is_named_and_the_rest_goes_on(operator: Operator) -> None:
    window = operator.window
    away = window.settings.model_copy(update={
        "kafka": window.settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "request_timeout": 1.0}),
        "redis": window.settings.redis.model_copy(update={"url": type(window.settings.redis.url)("redis://127.0.0.1:1/0")}),
    })  # fmt: skip
    nowhere = open_store(away)
    try:
        board = Board(away, nowhere, window.hub, window.parts.engine)
        await board.look()
        first = {each.part: each for each in board.now().away}
        await board.look()
        again = {each.part: each for each in board.now().away}
        assert set(first) == set(again) == {"Kafka", "Redis"}
        assert [again[part].since_ms for part in again] == [first[part].since_ms for part in again]
        assert len(board.now().samples) == 2
    finally:
        await nowhere.close()
    window.past, past = Reader(away.kafka), window.past
    found = await shopper_view(window, UserId("ann"))
    window.past = past
    assert [line.partition(":")[0] for line in found.away] == ["Kafka"]


async def test_pages_are_there_and_ask_for_a_key(operator: Operator) -> None:
    for path in ("/operator/", "/docs/", "/docs/ui/swagger-ui-bundle.js", "/vendor/uplot/uPlot.iife.min.js", "/dom.js"):
        answer = await operator.served.nobody.get(path)
        assert answer.status_code == 200, path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    for path in ("/shop/", "/shop/keys.json", "/shop/shop.js"):
        assert (await operator.served.nobody.get(path)).status_code == 404, path
    assert (await operator.served.server.get("/v1/operator/shopper", params={"user_id": "u"})).status_code == 403
