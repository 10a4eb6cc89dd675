"""The API beside a real worker: what is posted is in the next answer, and nobody sees what is not theirs."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from contracts.settings import Settings
from contracts.topics import CLICKSTREAM
from storefront.limits import Limits
from streams.names import physical
from streams.producer import Outgoing
from tests.serving import Served, serving, view

PATIENCE = 20.0


@pytest_asyncio.fixture
async def api(shop: Settings) -> AsyncIterator[Served]:
    async with serving(shop) as served:
        yield served


async def events_of(response: httpx.Response) -> AsyncIterator[tuple[str, str, dict[str, object]]]:
    """(event, id, data) of a stream of server-sent events."""
    event = number = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            number = value
        elif name == "data":
            yield event, number, json.loads(value)


async def answers(api: Served, path: str, status: int) -> None:
    """Wait until a path answers so."""
    async with asyncio.timeout(PATIENCE):
        while (await api.server.get(path)).status_code != status:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.05)


async def test_everybody_reads_their_own_write(api: Served) -> None:
    async def write_and_read(number: int) -> None:
        user, item = f"reader-{number}", f"i{number % 60}"
        posted = (await api.server.post("/v1/events", json=view(user, item))).json()
        query = {"user_id": user, "after": posted["token"], "wait_ms": 10_000}
        found = (await api.server.get("/v1/recommendations", params=query)).json()
        assert found["current"], found
        profile = (await api.server.get("/v1/profile", params={"user_id": user})).json()
        assert [met["item_id"] for met in profile["history"]] == [item]
        assert item not in [slot["item"]["item_id"] for slot in found["items"]]

    await asyncio.gather(*(write_and_read(number) for number in range(40)))


async def test_a_deadline_is_kept_and_told(api: Served) -> None:
    from storefront.token import token_of
    from streams.producer import Sent

    never = token_of([Sent(api.window.partition("late"), 10**9)])  # type: ignore[arg-type]
    started = time.monotonic()
    query = {"user_id": "late", "after": never, "wait_ms": 200}
    found = (await api.server.get("/v1/recommendations", params=query)).json()
    assert not found["current"]
    assert 0.2 <= time.monotonic() - started < 5.0


async def test_each_event_is_accepted_or_refused_for_itself(api: Served) -> None:
    user = "mixed"
    rows = [view(user, "i1"), {"type": "view"}, view(user, "i2", time_ms=5), view(user, "i3")]
    answer = await api.server.post("/v1/events", json=rows)
    found = answer.json()
    assert (answer.status_code, found["accepted"], found["refused"]) == (202, 2, 2)
    assert [each["status"] for each in found["results"]] == ["accepted", "refused", "refused", "accepted"]
    assert found["results"][2]["reason"] == "impossible_time"
    nothing = await api.server.post("/v1/events", json={"type": "nonsense"})
    assert (nothing.status_code, nothing.json()["accepted"]) == (422, 0)


async def test_a_page_sees_its_own_visitor_and_nobody_else(api: Served) -> None:
    user, mine = await api.visitor()
    other, _ = await api.visitor()
    assert (await api.nobody.get("/v1/profile")).status_code == 401
    assert (await api.nobody.get("/v1/profile", headers=mine)).json()["user_id"] == user
    assert (await api.nobody.get("/v1/profile", params={"user_id": other}, headers=mine)).status_code == 403
    assert (await api.nobody.post("/v1/events", json=view(other, "i1"), headers=mine)).status_code == 403
    assert (await api.nobody.put("/v1/catalogue/i1", json={"item_id": "i1"}, headers=mine)).status_code == 403
    forged = {"Authorization": mine["Authorization"][:-2] + "xx"}
    refused = await api.nobody.get("/v1/profile", headers=forged)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    fresh = api.window.parts.fresh
    assert fresh is not None
    page = {"Authorization": f"Bearer {fresh.page}"}
    assert (await api.nobody.get("/v1/recommendations", headers=page)).status_code == 403
    named = await api.nobody.post("/v1/visitors", json={"user_id": "somebody"}, headers=page)
    assert named.status_code == 403


async def test_the_stream_brings_slates_and_goes_on_where_it_ended(api: Served) -> None:
    user, mine = await api.visitor()
    async with asyncio.timeout(PATIENCE), api.nobody.stream("GET", "/v1/stream", headers=mine) as response:
        stream = events_of(response)
        for item in ("i1", "i4"):
            posted = view(user, item)
            await api.nobody.post("/v1/events", json=posted, headers=mine)
            event, last, data = await anext(stream)
            assert (event, data["answers"]) == ("slate", posted["event_id"])
    missed = [view(user, item) for item in ("i7", "i10", "i13")]
    for each in missed:
        token = (await api.nobody.post("/v1/events", json=each, headers=mine)).json()["token"]
        await api.nobody.get("/v1/recommendations", params={"after": token, "wait_ms": 10_000}, headers=mine)
    again = {**mine, "Last-Event-ID": last}
    async with asyncio.timeout(PATIENCE), api.nobody.stream("GET", "/v1/stream", headers=again) as response:
        stream = events_of(response)
        found = [await anext(stream) for _ in missed]
    assert [data["answers"] for _, _, data in found] == [each["event_id"] for each in missed]
    assert api.window.hub.listening <= 1


async def test_forgetting_is_an_event_and_takes_the_slate_along(api: Served) -> None:
    user, mine = await api.visitor()
    token = (await api.nobody.post("/v1/events", json=view(user, "i1"), headers=mine)).json()["token"]
    await api.nobody.get("/v1/recommendations", params={"after": token, "wait_ms": 10_000}, headers=mine)
    forgotten = await api.nobody.delete("/v1/profile", headers=mine)
    assert forgotten.status_code == 202
    query = {"after": forgotten.json()["token"], "wait_ms": 10_000}
    found = (await api.nobody.get("/v1/recommendations", params=query, headers=mine)).json()
    assert found["current"]
    assert (await api.nobody.get("/v1/profile", headers=mine)).json()["history"] == []


async def test_surfaces_and_filters(api: Served) -> None:
    query = {"user_id": "filters", "surface": "product", "item_id": "i3", "limit": 5}
    found = (await api.server.get("/v1/recommendations", params=query)).json()
    shown = [slot["item"] for slot in found["items"]]
    assert len(shown) == 5
    assert shown[0]["category"][-1] == "shoe"
    assert "i3" not in [item["item_id"] for item in shown]
    narrow = {**query, "surface": "home", "category": "tea", "min_price": 20, "max_price": 40, "exclude": "i11,i14"}
    del narrow["item_id"]
    items = [slot["item"] for slot in (await api.server.get("/v1/recommendations", params=narrow)).json()["items"]]
    assert items
    assert all(i["category"][-1] == "tea" and 20 <= i["price"] <= 40 for i in items)
    assert not {"i11", "i14"} & {i["item_id"] for i in items}
    for wrong in ({"surface": "product"}, {"surface": "nowhere"}, {"limit": 0}, {"strange": 1}, {"after": "%%%"}):
        answer = await api.server.get("/v1/recommendations", params={"user_id": "u", **wrong})
        assert answer.status_code in (400, 422), wrong
    unknown = {"user_id": "u", "surface": "product", "item_id": "nothing"}
    assert (await api.server.get("/v1/recommendations", params=unknown)).status_code == 404


async def test_what_is_like_what_trends_and_what_is_meant(api: Served) -> None:
    alike = (await api.server.get("/v1/items/i3/similar", params={"limit": 5})).json()["items"]
    assert {each["item"]["category"][-1] for each in alike} == {"shoe"}
    found = (await api.server.get("/v1/search", params={"q": "lamp number 31"})).json()["items"]
    assert found[0]["item"]["item_id"] == "i31"
    posted = [view(f"fan-{n}", "i8") for n in range(5)]
    await api.server.post("/v1/events", json=posted)
    async with asyncio.timeout(PATIENCE):
        while True:
            trending = (await api.server.get("/v1/trending", params={"category": "tea"})).json()["items"]
            if trending[0]["item"]["item_id"] == "i8":
                break
            await asyncio.sleep(0.1)


async def test_a_receipt_says_why_and_what_without(api: Served) -> None:
    user = "curious"
    token = (await api.server.post("/v1/events", json=[view(user, "i1"), view(user, "i5")])).json()["token"]
    query = {"user_id": user, "after": token, "wait_ms": 10_000}
    slate = (await api.server.get("/v1/recommendations", params=query)).json()
    url = f"/v1/recommendations/{slate['recommendation_id']}/why"
    why = (await api.server.get(url, params={"without": "i5"})).json()
    assert [each["item_id"] for each in why["items"]] == [slot["item"]["item_id"] for slot in slate["items"]]
    assert why["gone"]
    assert why["come"]
    assert any(each["share"] > 0 for each in why["items"][0]["shares"])
    assert (await api.server.get(url, params={"without": "i50"})).status_code == 404
    _, other = await api.visitor()
    assert (await api.nobody.get(url, headers=other)).status_code == 404


async def test_an_item_that_is_put_is_there_and_one_that_is_taken_is_gone(api: Served) -> None:
    item = {"item_id": "new", "title": "brand new tent", "category": ["all", "tent"], "stock": 1}
    assert (await api.server.put("/v1/catalogue/new", json=item)).status_code == 202
    assert (await api.server.put("/v1/catalogue/other", json=item)).status_code == 422
    await answers(api, "/v1/items/new", 200)
    assert (await api.server.delete("/v1/catalogue/new")).status_code == 202
    await answers(api, "/v1/items/new", 404)


async def test_health_metrics_and_limits(api: Served) -> None:
    for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json"):
        assert (await api.nobody.get(path)).status_code == 200
    assert "daogou_requests_total" in (await api.nobody.get("/metrics")).text
    big = json.dumps([view("big", "i1", text="x" * 2_000_000)])
    assert (await api.server.post("/v1/events", content=big)).status_code == 413
    _, mine = await api.visitor()
    api.window.limits = Limits(rate=0.1, burst=20)  # what any machine is faster than
    answers = await asyncio.gather(*(api.nobody.get("/v1/profile", headers=mine) for _ in range(40)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"]
    assert (await api.nobody.get("/nowhere")).headers["content-type"] == "application/problem+json"


async def letters_of(api: Served, key: dict[str, str]) -> list[dict[str, object]]:
    answer = await api.server.get("/v1/operator/dead-letters", headers=key)
    return list(answer.json()["letters"])


async def test_the_operator_sees_how_it_goes_and_nobody_else_does(api: Served) -> None:
    fresh = api.window.parts.fresh
    assert fresh is not None
    key = {"Authorization": f"Bearer {fresh.operator}"}
    assert (await api.server.get("/v1/operator")).status_code == 403
    topic = physical(api.window.settings.kafka, CLICKSTREAM)
    await api.window.send([Outgoing(topic, b"broken", b"no event")])
    token = (await api.server.post("/v1/events", json=view("watched", "i1"))).json()["token"]
    query = {"user_id": "watched", "after": token, "wait_ms": 10_000}
    await api.server.get("/v1/recommendations", params=query)
    async with asyncio.timeout(PATIENCE):
        while not (letters := await letters_of(api, key)):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.1)
    assert (letters[0]["reason"], letters[0]["value"]) == ("not_json", "no event")
    assert letters[0]["topic"] == topic
    await api.window.board.look()
    found = (await api.server.get("/v1/operator", headers=key)).json()
    assert sum(each["latest"] for each in found["partitions"]) == 2
    assert found["coverage"] == {"items": 60, "available": 60, "embedded": 60, "shown": 10}
    assert {each["cause"] for each in found["degraded"]} == {"no model"}
    assert "away" not in found


async def test_the_readmes_curls_work(api: Served) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    fresh = api.window.parts.fresh
    assert fresh is not None
    known = {**os.environ, "URL": api.url, "KEY": fresh.server}
    lines = [line for line in readme.splitlines() if line.startswith("curl ")]
    assert len(lines) == 2
    for line, field in zip(lines, ("token", "recommendation_id"), strict=True):
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", line, env=known, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        said, _ = await process.communicate()
        assert json.loads(said)[field]
