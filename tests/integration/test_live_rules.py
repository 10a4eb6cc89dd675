"""Rules on the real Kafka: live within two seconds, a dry run that equals what then happens, kept and deleted."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from contracts.codec import encode_json
from contracts.messages import Slate
from contracts.rules import Action, Rule
from contracts.settings import Settings
from contracts.topics import RULES
from inference.ask import Ask
from launch.cli import run
from launch.shopfront import build_window
from launch.slate_now import _informed_engine
from storefront.rehearsal import AT_ONCE, last_asked, pairs_of
from storefront.window import Window
from streams.names import physical
from streams.producer import Outgoing
from streams.rules import judge
from tests.serving import Served, serving, view
from tests.streaming import send

LIVE_SECONDS = 2.0
PATIENCE = 20.0
TEA = "'tea' in category"


@pytest_asyncio.fixture
async def api(shop: Settings) -> AsyncIterator[Served]:
    async with serving(shop) as served:
        yield served


def rule(rule_id: str = "r", action: str = "hide", when: str = TEA, **more: Any) -> dict[str, Any]:
    return {"rule_id": rule_id, "action": action, "when": when, **more}


async def put(api: Served, body: dict[str, Any]) -> None:
    answer = await api.server.put(f"/v1/rules/{body['rule_id']}", json=body)
    assert answer.status_code == 202, answer.text


async def listed(api: Served, *rule_ids: str, refused: int = 0) -> dict[str, Any]:
    """The list, once it has just these rules, and so many that are none."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await api.server.get("/v1/rules")).json()
            known = [each["rule"]["rule_id"] for each in found["rules"]]
            if (known, len(found["refused"])) == (sorted(rule_ids), refused):
                return found
            await asyncio.sleep(0.02)


async def streamed(api: Served, user: str, item: str) -> Slate:
    """The worker's slate for a new event."""
    posted = view(user, item)
    await api.server.post("/v1/events", json=posted)
    async with asyncio.timeout(PATIENCE):
        while True:
            slate = api.window.hub.last(user)  # type: ignore[arg-type]
            if slate is not None and slate.trigger.event_id == posted["event_id"]:
                return slate
            await asyncio.sleep(0.005)


async def test_a_saved_rule_is_live_in_workers_and_api_within_two_seconds_and_so_is_its_end(api: Served) -> None:
    assert not (await streamed(api, "u", "i1")).rules
    await put(api, rule())
    saved = time.monotonic()
    while not (slate := await streamed(api, "u", "i1")).rules:
        assert time.monotonic() - saved < LIVE_SECONDS
    assert time.monotonic() - saved < LIVE_SECONDS
    assert not {slot.item_id for slot in slate.items} & {f"i{n}" for n in range(2, 60, 3)}
    await listed(api, "r")
    for query in ({"user_id": "u"}, {"user_id": "u", "limit": 10}, {"user_id": "u", "surface": "cart", "items": "i1"}):
        found = (await api.server.get("/v1/recommendations", params=query)).json()  # not one from before the rule
        assert found["items"]
        assert "tea" not in {level for slot in found["items"] for level in slot["item"]["category"]}
    why = (await api.server.get(f"/v1/recommendations/{slate.recommendation_id}/why")).json()
    assert any(words.startswith("The shop's rule r hid") for words in why["words"])
    assert (await api.server.delete("/v1/rules/r")).status_code == 202
    ended = time.monotonic()
    while (await streamed(api, "u", "i1")).rules:
        assert time.monotonic() - ended < LIVE_SECONDS


async def live(window: Window, asks: Sequence[Ask]) -> list[Slate]:
    """The same asks again, by what answers live requests."""
    return [
        slate
        for start in range(0, len(asks), AT_ONCE)
        for slate in await window.parts.engine.recommend(asks[start : start + AT_ONCE])
    ]


def seen(slates: Sequence[Slate]) -> list[Any]:
    return [(slate.recommendation_id, slate.items, slate.rules, slate.degraded) for slate in slates]


RULES_TRIED = [
    rule("hides", when="'shoe' in category && price < 40"),
    rule("raises", "boost", "brand == '' && price > 50", factor=20.0),
    rule("lowers", "bury", "title.contains('lamp')", factor=0.01),
    rule("pins", "pin", "item_id == 'i59'", place=2),
]


async def test_a_dry_run_equals_what_then_happens_live_on_the_same_asks(api: Served) -> None:
    for number in range(24):
        await streamed(api, f"u{number}", f"i{number * 7 % 60}")
        query = {"user_id": f"u{number}", "surface": "product", "item_id": f"i{number}"}
        assert (await api.server.get("/v1/recommendations", params=query)).status_code == 200
    window, room = api.window, api.window.parts.engine
    await window.parts.shared.stop()  # what all shoppers teach stands still
    for tried in RULES_TRIED:
        asks = [each.ask for each in await last_asked(window)]
        report = (await api.server.post("/v1/rules/dry-run", json=tried, timeout=60)).json()
        ruled = await room.ask(
            lambda e, tried=tried: e.rules.compile(Rule(**{**tried, "action": Action(tried["action"])}))
        )
        await judge(room, ruled)
        pairs = await pairs_of(window, ruled, asks)
        before = await live(window, asks)
        assert seen(before) == seen([pair.before for pair in pairs])
        assert len(await room.ask(lambda e: e.rules.ordered)) == RULES_TRIED.index(tried)  # a dry run saves nothing
        await put(api, tried)
        await listed(api, *(each["rule_id"] for each in RULES_TRIED[: RULES_TRIED.index(tried) + 1]))
        after = await live(window, asks)
        assert seen(after) == seen([pair.after for pair in pairs])
        ids = [[[slot.item_id for slot in slate.items] for slate in slates] for slates in (before, after)]
        assert report["changed"] == sum(one != two for one, two in zip(*ids, strict=True)) > 0
        assert (report["slates"], report["exact"]) == (len(asks), len(asks)) == (48, 48)
        gone = sum(len(set(one) - set(two)) for one, two in zip(*ids, strict=True))
        assert report["moved_out"] == gone
        assert report["examples"][0]["before"] != report["examples"][0]["after"]
    await api.server.delete("/v1/profile", params={"user_id": "u3"})
    async with asyncio.timeout(PATIENCE):
        while any(each.profile.user_id == "u3" for each in window.asked.last()):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)
    assert "u3" not in {each.ask.profile.user_id for each in await last_asked(window)}


async def test_rules_outlive_processes_and_what_is_none_is_told(api: Served, shop: Settings) -> None:
    await put(api, rule("stays", "pin", "item_id == 'i58'", place=1))
    await put(api, rule("goes"))
    await listed(api, "goes", "stays")
    topic = physical(shop.kafka, RULES)
    good = encode_json(Rule(rule_id="other", action=Action.HIDE, when="true"))
    unread = encode_json(Rule(rule_id="wrong", action=Action.HIDE, when="colour == 1"))
    records = ((b"goes", None), (b"broken", b"{\xff"), (b"not-its-key", good), (b"wrong", unread))
    await send(shop, [Outgoing(topic, key, value) for key, value in records])
    found = await listed(api, "stays", refused=3)
    refused = {each["rule_id"]: each["why"] for each in found["refused"]}
    assert set(refused) == {"broken", "not-its-key", "wrong"}
    assert "line 1, column 1: undeclared reference to 'colour'" in refused["wrong"]
    async with asyncio.timeout(PATIENCE):  # the worker reads for itself; it lives, with the rules that are some
        while (await streamed(api, "u", "i1")).items[0].item_id != "i58":
            pass
    metrics = (await api.nobody.get("/metrics")).text
    assert 'daogou_rules{state="live"} 1.0' in metrics
    assert 'daogou_rules{state="refused"} 3.0' in metrics
    another = build_window(shop)
    await another.start()
    try:
        book = await another.parts.engine.ask(lambda e: e.rules)
        assert ([each.rule.rule_id for each in book.ordered], set(book.refused)) == (["stays"], set(refused))
    finally:
        await another.stop()
    assert [each.rule.rule_id for each in (await _informed_engine(shop)).rules.ordered] == ["stays"]
    assert (await api.server.delete("/v1/rules/broken")).status_code == 202


async def test_what_is_refused_and_what_is_warned_of(api: Served) -> None:
    for body, status, said in (
        (rule(when="colour == 'red'"), 422, "line 1, column 1: undeclared reference to 'colour'. The fields are"),
        (rule(when="x" * 10_000), 400, "$.when"),
        (rule(when="attributes.all(a, attributes.all(b, a == b))"), 422, "too costly"),
        (rule(action="boost"), 422, "factor: a boost needs one above 1"),
        (rule(colour="red"), 400, "unknown field"),
    ):
        for answer in (
            await api.server.put("/v1/rules/r", json=body),
            await api.server.post("/v1/rules/dry-run", json=body),
        ):
            assert answer.status_code == status, answer.text
            assert said in answer.json()["detail"]
    assert (await api.server.put("/v1/rules/another", json=rule())).status_code == 422
    assert (
        (await api.server.get("/v1/rules/r")).status_code == (await api.server.delete("/v1/rules/r")).status_code == 404
    )
    _, visitor = await api.visitor()
    assert (await api.nobody.get("/v1/rules", headers=visitor)).status_code == 403
    nothing = (await api.server.post("/v1/rules/dry-run", json=rule())).json()
    assert nothing["warnings"] == ["no slate was asked for lately: there is nothing to try it on"]
    await streamed(api, "u", "i1")
    everything = (await api.server.post("/v1/rules/dry-run", json=rule(when="true"))).json()
    assert (everything["emptied"], everything["slates"], everything["matches"]) == (1, 1, 60)
    nowhere = (await api.server.post("/v1/rules/dry-run", json=rule(surfaces=["attic"]))).json()
    assert nowhere["warnings"][0].startswith("there is no surface 'attic'")
    assert everything["warnings"] == ["it hides every item: slates will be empty", "1 of 1 slates would be empty"]
    await put(api, rule(when="true"))
    await listed(api, "r")
    found = (await api.server.get("/v1/recommendations", params={"user_id": "u"})).json()
    assert (found["items"], found["degraded"]) == ([], "hidden by the shop's rules")


async def test_the_command(api: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    settings = api.window.settings
    for name, value in (
        ("KAFKA__BOOTSTRAP_SERVERS", settings.kafka.bootstrap_servers), ("KAFKA__PARTITIONS", "3"),
        ("KAFKA__TOPIC_PREFIX", settings.kafka.topic_prefix), ("REDIS__URL", settings.redis.url.get_secret_value()),
    ):  # fmt: skip
        monkeypatch.setenv(f"DAOGOU_{name}", value)

    async def said(*words: str, status: int = 0) -> str:
        assert await asyncio.to_thread(run, ["rules", *words]) == status
        output = capsys.readouterr()
        return output.out + output.err

    await streamed(api, "u", "i1")
    assert "20 of 60 items: i11, i14" in await said("check", TEA)
    assert "line 1, column 1" in await said("check", "colour == 1", status=1)
    tried = json.loads(await said("dry-run", "r", "--action", "hide", "--when", TEA, "--json"))
    assert (tried["slates"], tried["matches"]) == (1, 20)
    assert "come in" in await said("dry-run", "r", "--action", "hide", "--when", "true")
    await said("put", "r", "--action", "pin", "--when", TEA, "--place", "1", "--surface", "home", "--to", "2099-01-01")
    assert (await listed(api, "r"))["rules"][0]["rule"]["valid_to_ms"] == 4_070_908_800_000
    assert "r  pin at 1  'tea' in category  on home  to 2099-01-01T00:00:00Z" in await said("list")
    await said("delete", "r")
    await listed(api)
    assert "no time" in await said("put", "r", "--action", "hide", "--when", "true", "--to", "soon", status=1)
