"""A part behind the API is away: memory is served, the rest is refused in time, and all comes back by itself."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from contracts.settings import Settings
from launch.embedded import Cluster
from launch.embedded.valkey import Valkey
from streams.recommend import STORE_AWAY
from tests.serving import Served, serving, view

PATIENCE = 30.0
ANSWER_SECONDS = 1.0
LATE = 10.0  # on a busy machine; the deadline is a second


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    yield server
    server.stop()


@pytest_asyncio.fixture
async def api(shop: Settings, valkey: Valkey) -> AsyncIterator[Served]:
    changed = shop.model_copy(
        update={
            "api": shop.api.model_copy(update={"answer_seconds": ANSWER_SECONDS, "waiting": 32}),
            "kafka": shop.kafka.model_copy(update={"request_timeout": 2.0}),
            "redis": shop.redis.model_copy(update={"url": SecretStr(valkey.url), "timeout": 0.5}),
        }
    )
    async with serving(changed) as served:
        served.server.timeout = httpx.Timeout(PATIENCE)
        yield served


async def until_current(api: Served, user: str) -> dict[str, object]:
    """Post a view, and wait for the stream's slate that has it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            posted = await api.server.post("/v1/events", json=view(user, "i1"))
            if posted.status_code == 202:
                break
            assert posted.status_code == 503, posted.text
            await asyncio.sleep(float(posted.headers["retry-after"]) / 10)
        while True:
            query = {"user_id": user, "after": posted.json()["token"], "wait_ms": 10_000}
            found = (await api.server.get("/v1/recommendations", params=query)).json()
            if not found["computed"] and found["current"]:
                return dict(found)
            await asyncio.sleep(0.05)


async def operators_look(api: Served, user: str) -> tuple[list[str], dict[str, Any]]:
    """The parts that the operator's view calls away, and what it says of a shopper all the same."""
    fresh = api.window.parts.fresh
    assert fresh is not None
    key = {"Authorization": f"Bearer {fresh.operator}"}
    now = (await api.server.get("/v1/operator", headers=key)).json()
    found = (await api.server.get("/v1/operator/shopper", params={"user_id": user}, headers=key)).json()
    return [each["part"] for each in now["away"]], found


def refused_in_time(answer: httpx.Response, seconds: float = LATE) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.elapsed.total_seconds() < seconds


async def test_without_kafka_events_are_refused_in_time_and_reads_go_on(api: Served, cluster: Cluster) -> None:
    before = await until_current(api, "reader")
    cluster.kafka.process.send_signal(signal.SIGSTOP)
    try:
        refused_in_time(await api.server.post("/v1/events", json=view("reader", "i2")))
        started = time.monotonic()
        many = [api.server.post("/v1/events", json=view(f"u{n}", "i2")) for n in range(90)]
        answers = await asyncio.gather(*many)
        assert time.monotonic() - started < LATE, "no queue grows"
        for each in answers:
            refused_in_time(each)
        assert any("requests wait for the log already" in each.text for each in answers)
        found = (await api.server.get("/v1/recommendations", params={"user_id": "reader"})).json()
        assert found == before
        computed = await api.server.get("/v1/recommendations", params={"user_id": "reader", "limit": 5})
        assert computed.json()["computed"]
        assert (await api.server.get("/v1/search", params={"q": "lamp"})).json()["items"]
        await api.window.board.look()
        ready = await api.nobody.get("/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "away": ["Kafka"]})
        away, looked = await operators_look(api, "reader")
        assert (away, looked["away"][0].partition(":")[0]) == (["Kafka"], "Kafka")
        assert looked["slates"][0]["recommendation_id"] == before["recommendation_id"]
        assert looked["profile"]["version"] >= 1
    finally:
        cluster.kafka.process.send_signal(signal.SIGCONT)
    after = await until_current(api, "reader")
    assert after["answers"] != before["answers"]


async def test_without_redis_slates_say_so_and_events_are_taken(api: Served, valkey: Valkey, tmp_path: Path) -> None:
    before = await until_current(api, "reader")
    valkey.process.kill()
    valkey.process.wait()
    assert (await api.server.get("/v1/recommendations", params={"user_id": "reader"})).json() == before
    for query in ({"user_id": "reader", "limit": 5}, {"user_id": "nobody"}):
        found = (await api.server.get("/v1/recommendations", params=query)).json()
        assert found["degraded"] == STORE_AWAY
        assert found["items"]
    refused_in_time(await api.server.get("/v1/profile", params={"user_id": "reader"}))
    assert (await api.server.post("/v1/events", json=view("reader", "i2"))).status_code == 202
    await api.window.board.look()
    assert (await api.nobody.get("/health/ready")).json()["away"] == ["Redis"]
    away, looked = await operators_look(api, "reader")
    assert (away, looked["away"][0].partition(":")[0]) == (["Redis"], "Redis")
    assert "profile" not in looked
    assert [each["items"] for each in looked["events"]] == [["i2"], ["i1"]]
    back = Valkey(tmp_path / "valkey")  # the same folder, the same port
    try:
        after = await until_current(api, "reader")
        assert after["answers"] != before["answers"]
        known = (await api.server.get("/v1/profile", params={"user_id": "reader"})).json()
        assert known["counts"] == [{"kind": "view", "count": 3}]
    finally:
        back.stop()
