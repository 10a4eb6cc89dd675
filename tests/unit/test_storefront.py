"""The parts of the API that need no server: batches, limits, keys, tokens, its own description."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import (
    CallerRefused,
    Missing,
    Overloaded,
    Oversize,
    Reason,
    SettingsRefused,
    StoreUnavailable,
    TooMany,
    Unreadable,
)
from contracts.events import UserId
from contracts.profile import Position, Profile
from contracts.settings import ApiSettings, Environment
from storefront.access import Access, Caller, Keyring, Role, entry_of, may, new_key, whose
from storefront.batcher import Batcher
from storefront.limits import Limits
from storefront.openapi import document
from storefront.problems import status_of
from storefront.table import ENDPOINTS
from storefront.token import has, offset_for, token_of
from streams.producer import Sent

SECRET = "s" * 32


async def test_what_waits_shares_a_batch_and_everybody_gets_their_own_answer() -> None:
    sizes: list[int] = []
    gate = asyncio.Event()

    async def work(asked: Sequence[int]) -> list[int]:
        sizes.append(len(asked))
        await gate.wait()
        return [2 * one for one in asked]

    batcher = Batcher("numbers", work, most=8, queue=100)
    waiting = [asyncio.create_task(batcher.ask(number)) for number in range(20)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [2 * number for number in range(20)]
    assert sum(sizes) == 20
    assert max(sizes) == 8
    assert await batcher.ask(5) == 10  # it starts again after it was idle


async def test_a_failed_batch_answers_every_waiter_and_the_next_one_works() -> None:
    failing = True

    async def work(asked: Sequence[int]) -> Sequence[int]:
        if failing:
            raise StoreUnavailable("away")
        return asked

    batcher = Batcher("numbers", work, most=8, queue=100)
    found = await asyncio.gather(*(batcher.ask(n) for n in range(5)), return_exceptions=True)
    assert all(isinstance(each, StoreUnavailable) for each in found)
    failing = False
    assert await batcher.ask(1) == 1


async def test_a_full_queue_refuses_and_who_gave_up_costs_nothing() -> None:
    gate, seen = asyncio.Event(), list[int]()

    async def work(asked: Sequence[int]) -> Sequence[int]:
        await gate.wait()
        seen.extend(asked)
        return asked

    batcher = Batcher("numbers", work, most=1, queue=2)
    running = asyncio.create_task(batcher.ask(0))
    while batcher._waiting or batcher._running is None:  # noqa: ASYNC110  it is a turn of the loop, no time
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(batcher.ask(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 requests wait for numbers"):
        await batcher.ask(3)
    waiting[0].cancel()
    gate.set()
    assert await running == 0
    assert await waiting[1] == 2
    assert seen == [0, 2]


def test_a_bucket_fills_again() -> None:
    limits = Limits(rate=10, burst=3)
    for _ in range(3):
        limits.take("a", now=0.0)
    with pytest.raises(TooMany, match="try again in 1 s"):
        limits.take("a", now=0.0)
    limits.take("b", now=0.0)
    limits.take("a", now=0.11)


def test_keys_have_roles_and_only_their_hash_is_kept() -> None:
    key = new_key(Role.SERVER)
    access = Access(ApiSettings(keys=(entry_of(key),)), Environment.DEVELOPMENT)
    assert key not in entry_of(key)
    assert access.who(f"Bearer {key}").role is Role.SERVER
    for wrong in ("", key, f"Bearer {key}x", "Bearer ", "Bearer \xff\xfe", f"Bearer operator_{key[7:]}"):
        with pytest.raises(CallerRefused) as refused:
            access.who(wrong)
        assert not refused.value.known


def test_a_visitors_token_is_theirs_and_ends() -> None:
    settings = ApiSettings(visitor_secret=SECRET)  # type: ignore[arg-type]
    access = Access(settings, Environment.DEVELOPMENT)
    token, seconds = access.visitor(UserId("ann"))
    assert seconds == 30 * 86_400
    assert access.who(f"Bearer {token}") == Caller(Role.VISITOR, "ann", UserId("ann"))
    assert Access(settings, Environment.DEVELOPMENT).who(f"Bearer {token}").user == "ann"  # another process
    with pytest.raises(CallerRefused):
        Access(ApiSettings(), Environment.DEVELOPMENT).who(f"Bearer {token}")


def test_production_needs_keys_and_a_secret() -> None:
    with pytest.raises(SettingsRefused, match="DAOGOU_API__KEYS"):
        Access(ApiSettings(), Environment.PRODUCTION)
    Access(ApiSettings(keys=(entry_of("server_x"),), visitor_secret=SECRET), Environment.PRODUCTION)  # type: ignore[arg-type]
    assert len(set(Keyring.fresh())) == 3


def test_who_may_do_what_to_whom() -> None:
    page, ann = Caller(Role.PAGE, "p"), Caller(Role.VISITOR, "ann", UserId("ann"))
    with pytest.raises(CallerRefused, match="a page key may not do this; it needs server"):
        may(page, (Role.SERVER,))
    assert (whose(ann, None), whose(ann, "ann"), whose(Caller(Role.SERVER, "s"), "bob")) == ("ann", "ann", "bob")
    for caller, named in ((ann, "bob"), (Caller(Role.SERVER, "s"), None)):
        with pytest.raises(CallerRefused):
            whose(caller, named)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 2**53)), min_size=1, max_size=50))
def test_a_token_holds_the_last_offset_of_each_partition(places: list[tuple[int, int]]) -> None:
    token = token_of([Sent(*place) for place in places])
    for partition, _ in places:
        assert offset_for(token, partition) == max(offset for p, offset in places if p == partition)
    assert offset_for(token, 1001) == -1


@given(st.text(max_size=60))
def test_any_text_is_a_token_or_is_refused(text: str) -> None:
    with suppress(Unreadable):
        assert isinstance(offset_for(text, 0), int)


def test_a_profile_has_what_it_was_folded_over() -> None:
    folded = Profile(UserId("u"), position=Position("e", 0, 7))
    assert (has(None, -1), has(None, 0), has(folded, 7), has(folded, 8)) == (True, False, True, False)


def test_every_error_has_its_status() -> None:
    found = [
        status_of(error)
        for error in (
            CallerRefused("x"), CallerRefused("x", known=True), Oversize(Reason.OVERSIZE, "x"), TooMany("x"),
            Missing("x"), Overloaded("x"), SettingsRefused("x"), Unreadable(Reason.NOT_JSON, "x"),
        )
    ]  # fmt: skip
    assert found == [401, 403, 413, 429, 404, 503, 409, 400]


def test_the_description_names_every_route_and_its_schemas_are_there() -> None:
    found = msgspec.json.decode(document(ENDPOINTS, ["home"]))
    assert {(path, method.upper()) for path, methods in found["paths"].items() for method in methods} == {
        (each.path, each.method) for each in ENDPOINTS
    }
    text = document(ENDPOINTS, ["home"]).decode()
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in found["components"]["schemas"]
