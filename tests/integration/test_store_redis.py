"""What only a server can do to a store: die, freeze, fill up, refuse, forget our functions, hold garbage."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from contracts.errors import AccessRefused, Corrupted, SettingsRefused, StoreUnavailable
from contracts.events import ItemId, UserId
from contracts.profile import Profile
from contracts.settings import Settings, load_settings
from contracts.statistics import Decay, Increments
from launch.embedded.process import free_ports
from launch.embedded.valkey import Valkey
from streams.store import ProfileKey, ProfileStore, Write, open_statistics, open_store

KEY = ProfileKey(3, UserId("u"))
PROFILE = Profile(KEY.user, version=1)
NAME = "profile:{3}:u"

#: What a worker's login needs, and nothing more. The functions' own commands count, EVAL and CONFIG do not.
RIGHTS = (
    "reset on >secret ~profile:* ~follows:* ~{stats}:* ~disk -@all "
    "+mget +fcall +fcall_ro +unlink +scan +incr +waitaof +get +zrange +zmscore "
    "+getrange +set +zincrby +zremrangebyrank +pexpire +zadd +time"
)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "data")
    yield server
    server.stop()


@pytest.fixture
async def admin(valkey: Valkey) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as client:
        yield client


def settings_for(url: str, **redis: object) -> Settings:
    return load_settings(redis={"url": url, **redis})


async def ready(store: ProfileStore) -> None:
    """Wait until a server that was started again has read its file."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await store.check()
        except StoreUnavailable as error:
            if "loading" not in str(error) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.02)


async def test_what_is_said_to_be_on_disk_survives_a_kill(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "data")
    store = open_store(settings_for(server.url))
    keys = [ProfileKey(n % 6, UserId(f"u{n}")) for n in range(2000)]
    for at in range(0, len(keys), 500):
        await store.save([Write(key, Profile(key.user, version=1), 0) for key in keys[at : at + 500]])
    await store.on_disk()
    server.process.kill()
    server.process.wait()
    with pytest.raises(StoreUnavailable):
        await store.load(keys)
    again = Valkey(tmp_path / "data")
    try:
        await ready(store)
        assert await store.load(keys) == [Profile(key.user, version=1) for key in keys]
        assert await store.save([Write(keys[0], Profile(keys[0].user, version=2), 1)]) == [True]
        await store.on_disk()
    finally:
        await store.close()
        again.stop()


async def test_a_frozen_server_is_unavailable_and_its_late_answers_reach_nobody(valkey: Valkey) -> None:
    store = open_store(settings_for(valkey.url, timeout=0.2))
    other = ProfileKey(1, UserId("other"))
    await store.save([Write(KEY, PROFILE, 0)])
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="in time"):
                await store.load([KEY])
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)
    assert await store.load([other]) == [None]
    assert await store.load([KEY]) == [PROFILE]
    await store.close()


async def test_many_callers_share_few_connections(valkey: Valkey, admin: Redis) -> None:
    store = open_store(settings_for(valkey.url))
    keys = [ProfileKey(n % 6, UserId(f"u{n}")) for n in range(200)]
    saved = await asyncio.gather(*(store.save([Write(key, Profile(key.user, version=1), 0)]) for key in keys))
    assert saved == [[True]] * 200
    assert len(await admin.client_list()) < 12
    await asyncio.gather(*(store.on_disk() for _ in range(5)))
    await store.close()
    assert len(await admin.client_list()) == 1


async def test_closing_waits_for_what_a_cancelled_caller_began(valkey: Valkey) -> None:
    store = open_store(settings_for(valkey.url))
    await store.check()
    saving = asyncio.create_task(store.save([Write(KEY, PROFILE, 0)]))
    await asyncio.sleep(0)  # it has begun
    await asyncio.sleep(0)
    saving.cancel()
    await store.close()
    assert await open_store(settings_for(valkey.url)).load([KEY]) == [PROFILE]


async def test_a_full_server_is_unavailable_and_nothing_is_half_done(valkey: Valkey, admin: Redis) -> None:
    store = open_store(settings_for(valkey.url))
    await store.save([Write(KEY, PROFILE, 0)])
    await admin.config_set("maxmemory", "1")
    two = [Write(ProfileKey(3, UserId(name)), Profile(UserId(name), version=1), 0) for name in "ab"]
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        await store.save(two)
    assert await store.load([KEY, two[0].key, two[1].key]) == [PROFILE, None, None]
    await admin.config_set("maxmemory", "0")
    assert await store.save(two) == [True, True]
    await store.close()


async def test_profiles_expire_and_each_write_renews_it(valkey: Valkey, admin: Redis) -> None:
    store = open_store(settings_for(valkey.url, profile_ttl_days=2))
    await store.save([Write(KEY, PROFILE, 0)])
    assert 2 * 86_400_000 - 10_000 < await admin.pttl(NAME) <= 2 * 86_400_000
    await admin.pexpire(NAME, 1000)
    await store.save([Write(KEY, Profile(KEY.user, version=2), 1)])
    assert await admin.pttl(NAME) > 86_400_000
    await store.close()


async def test_a_value_begins_with_its_version(valkey: Valkey, admin: Redis) -> None:
    store = open_store(settings_for(valkey.url))
    await store.save([Write(KEY, Profile(KEY.user, version=258), 0)])
    value = await admin.get(NAME)
    assert value[:8] == bytes([0, 0, 0, 0, 0, 0, 1, 2])
    await store.close()


async def test_lost_functions_are_loaded_again(valkey: Valkey, admin: Redis) -> None:
    store, statistics = open_store(settings_for(valkey.url)), open_statistics(settings_for(valkey.url))
    taught = Increments(Decay())
    taught.pairs[ItemId("a")][ItemId("b")] = 1.0
    for ask in (lambda: store.save([Write(KEY, PROFILE, 0)]), lambda: statistics.flush(taught)):
        await admin.execute_command("FUNCTION", "FLUSH")
        await ask()
    await admin.execute_command("FUNCTION", "FLUSH")
    assert (await statistics.changes(None)).followers[0].followers == (("b", 1.0),)
    assert await store.load([KEY]) == [PROFILE]
    await store.close()
    await statistics.close()


async def test_an_emptied_server_teaches_its_readers_again(valkey: Valkey, admin: Redis) -> None:
    """The numbers of changes never fall back behind a reader's cursor."""
    statistics, taught = open_statistics(settings_for(valkey.url)), Increments(Decay())
    taught.pairs[ItemId("a")][ItemId("b")] = 1.0
    for _ in range(50):
        await statistics.flush(taught)
    cursor = (await statistics.changes(None)).cursor
    await admin.flushall()
    await statistics.flush(taught)
    assert (await statistics.changes(cursor)).followers == (("a", (("b", 1.0),)),)
    await statistics.close()


@pytest.mark.parametrize("value", [b"", b"\0" * 8, b"garbage that is no profile", bytes(7) + b"\x02" + b"\x91\xa1u"])
async def test_garbage_is_named_and_never_taken_for_a_profile(valkey: Valkey, admin: Redis, value: bytes) -> None:
    store = open_store(settings_for(valkey.url))
    await admin.set(NAME, value)
    with pytest.raises(Corrupted, match=r"profile:\{3\}:u"):
        await store.load([KEY])
    await store.close()


async def test_a_key_of_another_type_is_an_error_without_values(valkey: Valkey, admin: Redis) -> None:
    store = open_store(settings_for(valkey.url))
    await admin.lpush(NAME, "x")
    secret = Profile(KEY.user, version=1, queries=("very private words",))
    with pytest.raises(StoreUnavailable, match="WRONGTYPE") as caught:
        await store.save([Write(KEY, secret, 0)])
    assert "private" not in str(caught.value)
    await store.close()


async def test_the_least_rights_are_enough_and_less_is_refused(valkey: Valkey, admin: Redis) -> None:
    await open_store(settings_for(valkey.url)).check()  # an operator loads the functions once
    await admin.execute_command("ACL", "SETUSER", "worker", *RIGHTS.split())
    mine = settings_for(valkey.url.replace("redis://", "redis://worker:secret@"))
    store, statistics, taught = open_store(mine), open_statistics(mine), Increments(Decay())
    taught.pairs[ItemId("a")][ItemId("b")] = 1.0
    await store.check()
    assert await store.save([Write(KEY, PROFILE, 0)]) == [True]
    assert [key async for key in store.scan()] == [KEY]
    await store.delete([KEY])
    await statistics.flush(taught)
    assert (await statistics.changes(None)).followers[0].followers == (("b", 1.0),)
    await admin.execute_command("ACL", "SETUSER", "worker", "-mget")
    with pytest.raises(AccessRefused, match="mget"):
        await store.load([KEY])
    await store.close()
    await statistics.close()


async def test_a_wrong_password_is_refused(valkey: Valkey, admin: Redis) -> None:
    await admin.config_set("requirepass", "right")
    for url in (valkey.url, valkey.url.replace("redis://", "redis://:wrong@")):
        with pytest.raises(AccessRefused, match="DAOGOU_REDIS__URL"):
            await open_store(settings_for(url)).check()


async def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await open_store(settings_for(f"redis://127.0.0.1:{free_ports(1)[0]}/0")).check()


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://localhost:port/0"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(SettingsRefused, match="DAOGOU_REDIS__URL"):
        open_store(settings_for(url))


async def test_a_server_without_a_disk_is_refused_unless_that_is_wanted(valkey: Valkey, admin: Redis) -> None:
    await admin.config_set("appendonly", "no")
    with pytest.raises(SettingsRefused, match="DAOGOU_REDIS__WAIT_FOR_DISK"):
        await open_store(settings_for(valkey.url)).check()
    store = open_store(settings_for(valkey.url, wait_for_disk=False))
    await store.check()
    assert await store.save([Write(KEY, PROFILE, 0)]) == [True]
    await store.on_disk()
    await store.close()
