"""The corpus of hostile requests against the real server: refused or harmless, never a server error, never in a log."""

import asyncio
import logging
import re
from contextlib import suppress

import pytest
from pydantic import SecretStr

from contracts.settings import Settings
from tests.hostile import Fate, Hostile, Keys, corpus
from tests.serving import Served, serving

AT_ONCE = 24
REQUEST_SECONDS = 1.0
OVER_SECONDS = 20.0  # nothing that a hostile caller does may take longer
SECRET = "the secret that signs visitors' tokens here"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture
def strict(shop: Settings) -> Settings:
    """A shop whose callers have a second to say what they want, and whose visitors may ask often."""
    changed = {
        "request_seconds": REQUEST_SECONDS, "visitor_secret": SecretStr(SECRET), "rate": 1000.0, "burst": 1000,
        "demo_shop": True,
    }  # fmt: skip
    return shop.model_copy(update={"api": shop.api.model_copy(update=changed)})


async def keys_of(served: Served) -> Keys:
    fresh = served.window.parts.fresh
    assert fresh is not None
    user, mine = await served.visitor()
    other, _ = await served.visitor()
    return Keys(fresh.page, fresh.server, mine["Authorization"].removeprefix("Bearer "), user, other, SECRET)


async def said_to(case: Hostile, port: int) -> bytes | None:
    """Send it all and read until the server hangs up or has answered; None: it let us go on for ever."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(send(case, writer))
    said, over = b"", False
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(OVER_SECONDS):
            while (part := await reader.read(65_536)) and not (not case.drip and answered(said + part)):
                said += part
            said, over = said + part, True
    over = over or reader.exception() is not None
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.close()
    return said if over else None


async def send(case: Hostile, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        writer.write(case.first)
        await writer.drain()
        while case.drip:
            writer.write(case.drip)
            await writer.drain()
            await asyncio.sleep(case.pause)


def answered(said: bytes) -> bool:
    """Whether a whole answer is there."""
    head, _, body = said.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    return length is not None and len(body) >= int(length[1])


def verdict(case: Hostile, said: bytes | None) -> str | None:
    """What is wrong with the answer, or None."""
    if said is None:
        return f"{case.name} was let go on for {OVER_SECONDS:.0f} s"
    statuses = [int(status) for status in STATUS.findall(said) if status != b"100"]
    if any(status >= 500 for status in statuses):
        return f"{case.name}: {said[:300]!r}"
    if case.fate is Fate.REFUSED and any(status < 400 for status in statuses):
        return f"{case.name} was not refused: {said[:300]!r}"
    if case.fate is Fate.HARMLESS and not statuses:
        return f"{case.name} was not answered"
    return None


async def test_all_are_refused_or_harmless_and_none_is_in_a_log(
    strict: Settings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(strict) as served:
        keys, gate = await keys_of(served), asyncio.Semaphore(AT_ONCE)
        cases, port = corpus(keys), int(served.url.rpartition(":")[2])

        async def one(case: Hostile) -> str | None:
            async with gate:
                said = await said_to(case, port)
                while said and b" 503 " in said[:16] and b"retry-after" in said:  # one rehearsal at a time
                    await asyncio.sleep(0.1)
                    said = await said_to(case, port)
                return verdict(case, said)

        wrong = [found for found in await asyncio.gather(*map(one, cases)) if found]
        assert not wrong, "\n".join(wrong)
        assert len(cases) >= 200
        assert (await served.nobody.get("/health/ready")).json() == {"status": "ready"}
        assert served.window.hub.listening == 0
        assert (await served.server.get("/v1/items/i1")).json()["title"] == "lamp number 1"
    logged = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in logged
    for secret in (*keys._replace(user="-", other="-"), keys.visitor.rpartition(".")[2]):
        assert secret == "-" or secret not in logged
