"""A shop's own file of surfaces: the stream, the API and the command line make the same slates of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.settings import Settings
from launch.cli import run
from tests.serving import Served, serving, view

FILE = """
[home]
limit = 4
sources = ["goes-together", "similar", "words", "category", "trending"]
filters = ["unavailable", "met", "wanted"]
scorer = "blend"
selectors = ["diverse"]

[left-off]
limit = 3
sources = ["revisit"]
filters = ["unavailable", { name = "met", seen_window = 1 }, "wanted"]
scorer = "blend"
selectors = ["diverse"]

[beside]
like = "home"
page = "item"
filters = ["unavailable", { name = "met", seen_window = 1 }, "wanted"]
"""


@pytest_asyncio.fixture
async def api(shop: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    file = tmp_path / "surfaces.toml"
    file.write_text(FILE)
    for name, value in (
        ("SURFACES", str(file)), ("KAFKA__BOOTSTRAP_SERVERS", shop.kafka.bootstrap_servers),
        ("KAFKA__TOPIC_PREFIX", shop.kafka.topic_prefix), ("KAFKA__PARTITIONS", "3"),
        ("REDIS__URL", shop.redis.url.get_secret_value()),
    ):  # fmt: skip
        monkeypatch.setenv(f"DAOGOU_{name}", value)
    async with serving(shop.model_copy(update={"surfaces": file})) as served:
        yield served


async def test_a_file_of_ones_own_works_everywhere(api: Served, capsys: pytest.CaptureFixture[str]) -> None:
    async def asked(**query: object) -> tuple[int, dict]:
        found = await api.server.get("/v1/recommendations", params={"user_id": "ann", **query})
        return found.status_code, found.json()

    async def commanded(*words: str) -> tuple[int, str]:
        status = await asyncio.to_thread(run, ["recommend", "ann", *words])
        return status, capsys.readouterr().out

    token, looked_at = "", {"i3", "i6", "i1"}  # and i9, on which the shopper is
    for item in ("i3", "i6", "i1", "i9"):
        token = (await api.server.post("/v1/events", json=view("ann", item))).json()["token"]
    status, home = await asked(after=token, wait_ms=10_000)
    assert (status, home["current"], len(home["items"])) == (200, True, 4)

    _, left_off = await asked(surface="left-off")
    assert (left_off["surface"], {slot["item"]["item_id"] for slot in left_off["items"]}) == ("left-off", looked_at)
    status, printed = await commanded("--surface", "left-off", "--json")
    slate = json.loads(printed)  # as of the last event, so the order may be another
    assert (status, slate["surface"], {slot["item_id"] for slot in slate["items"]}) == (0, "left-off", looked_at)

    _, beside = await asked(surface="beside", item_id="i20")
    status, printed = await commanded("--surface", "beside", "--item", "i20", "--json")
    shown, printed_too = [slot["item"] for slot in beside["items"]], json.loads(printed)["items"]
    assert (status, len(shown), len(printed_too)) == (0, 4, 4)
    assert "i20" not in [item["item_id"] for item in shown] + [slot["item_id"] for slot in printed_too]

    assert (await asked(surface="product", item_id="i3"))[0] == 400
    status, problem = await asked(surface="lef-off")
    assert status == 400
    assert "there are home, left-off, beside" in problem["detail"]
    described = (await api.nobody.get("/openapi.json")).json()["paths"]["/v1/recommendations"]["get"]["parameters"]
    [named] = [each["schema"]["enum"] for each in described if each["name"] == "surface"]
    assert named == ["home", "left-off", "beside"]
