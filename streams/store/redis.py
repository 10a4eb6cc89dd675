"""Profiles in Redis or Valkey: ``{prefix}profile:{<partition>}:<user>`` -> 8 bytes of version, then msgpack.

A Kafka partition is one hash slot, so a batch is one MGET and one function call a partition, pipelined: one round
trip each. The function is part of the server's data (FUNCTION LOAD), so a worker's login needs no EVAL.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from importlib.resources import files
from typing import Any, TypeVar
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from contracts.codec import decode_profile, encode_profile
from contracts.errors import AccessRefused, StoreUnavailable
from contracts.profile import Profile
from contracts.settings import RedisSettings
from streams.store.protocol import ProfileKey, Write

LIBRARY = "daogou1"
SAVE = "daogou1_save"
VERSION_BYTES = 8
#: How long a barrier's own key lives, so that a worker that is gone leaves nothing.
BARRIER_TTL_S = 3600

T = TypeVar("T")


async def asked(call: Awaitable[T]) -> T:
    """Await a Redis call, translate its errors, and never cancel it half-way (redis-py #2665).

    Raises:
        StoreUnavailable: the server is away, loading, full or slow.
        AccessRefused: the login or a right was refused.
    """
    try:
        return await asyncio.shield(asyncio.ensure_future(call))
    except (AuthenticationError, NoPermissionError) as error:
        raise AccessRefused(f"Redis refused: {error} (DAOGOU_REDIS__URL)") from error
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}: {error}") from error


def connect(settings: RedisSettings) -> "Redis":
    """A client. Nothing is sent until the first call."""
    return Redis.from_url(
        settings.url.get_secret_value(), socket_timeout=settings.timeout + settings.disk_timeout,
        socket_connect_timeout=settings.timeout,
    )  # fmt: skip


async def open_profiles(settings: RedisSettings, prefix: str = "") -> "RedisProfiles":
    """Connect, load the function library if it is not there, and see that the server writes to disk if it should.

    Raises:
        StoreUnavailable, AccessRefused: in one line that names the setting.
    """
    client = connect(settings)
    store = RedisProfiles(client, settings, prefix)
    try:
        await store.prepare()
    except (StoreUnavailable, AccessRefused):
        await store.close()
        raise
    return store


class RedisProfiles:
    """A ``ProfileStore``. ``prefix`` keeps several shops on one server apart."""

    def __init__(self, client: "Redis", settings: RedisSettings, prefix: str = "") -> None:
        self.client = client
        self._settings = settings
        self._prefix = prefix
        self._ttl_ms = int(settings.profile_ttl_days * 86_400_000)
        self._barrier_client = connect(settings)
        self._barrier_key = f"{prefix}barrier:{uuid4().hex}"
        self._barrier_lock = asyncio.Lock()

    async def prepare(self) -> None:
        """Load the function library, and check that the disk can be waited for. Raises: see ``open_profiles``."""
        source = files("streams.store").joinpath("profiles.lua").read_text()
        if not await asked(self.client.function_list(LIBRARY)):
            await asked(self.client.function_load(source, replace=True))
        persistence = await asked(self.client.info("persistence"))
        if self._settings.wait_for_disk and not persistence.get("aof_enabled"):
            raise AccessRefused(
                "Redis has no append-only file, so a crash of it would lose profiles that Kafka counts as done: "
                "set appendonly yes there, or DAOGOU_REDIS__WAIT_FOR_DISK=false (then `daogou rebuild` after a crash)"
            )

    def key(self, key: ProfileKey) -> str:
        """Where a profile lies."""
        return f"{self._prefix}profile:{{{key.partition}}}:{key.user}"

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        """See ``ProfileStore``."""
        groups = _by_partition(keys)
        pipe = self.client.pipeline(transaction=False)
        for positions in groups.values():
            pipe.mget([self.key(keys[i]) for i in positions])
        blobs: list[bytes | None] = [None] * len(keys)
        for positions, found in zip(groups.values(), await asked(pipe.execute()), strict=True):
            for i, blob in zip(positions, found, strict=True):
                blobs[i] = blob
        return [decode_profile(blob[VERSION_BYTES:]) if blob else None for blob in blobs]

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """See ``ProfileStore``."""
        groups = _by_partition([write.key for write in writes])
        answers = await self._called([[writes[i] for i in positions] for positions in groups.values()])
        saved = [False] * len(writes)
        for positions, found in zip(groups.values(), answers, strict=True):
            for i, answer in zip(positions, found, strict=True):
                saved[i] = bool(answer)
        return saved

    async def _called(self, groups: list[list[Write]]) -> list[list[int]]:
        pipe = self.client.pipeline(transaction=False)
        for writes in groups:
            pipe.fcall(SAVE, len(writes), *(self.key(w.key) for w in writes), self._ttl_ms, *_arguments(writes))
        try:
            return list(await asked(pipe.execute()))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ResponseError) and "unction not found" in str(error.__cause__):
                await self.prepare()  # FLUSHALL or another server: the library went too; the caller tries again
            raise

    async def on_disk(self) -> None:
        """A write of its own and WAITAOF: the append-only file is in order, so all that came before is on disk too."""
        if not self._settings.wait_for_disk:
            return
        async with self._barrier_lock:
            while not await self._barrier():
                continue

    async def _barrier(self) -> bool:
        pipe = self._barrier_client.pipeline(transaction=False)
        pipe.set(self._barrier_key, b"", ex=BARRIER_TTL_S)
        pipe.execute_command("WAITAOF", 1, 0, int(self._settings.disk_timeout * 1000))
        _, (local, _replicas) = await asked(pipe.execute())
        return bool(local)

    async def delete(self, keys: Sequence[ProfileKey]) -> None:
        """See ``ProfileStore``."""
        pipe = self.client.pipeline(transaction=False)
        for key in keys:
            pipe.delete(self.key(key))
        await asked(pipe.execute())

    async def all_keys(self) -> list[ProfileKey]:
        """Every profile's key, by SCAN: for ``verify`` and ``rebuild``, not for the stream."""
        head = f"{self._prefix}profile:{{"
        found = [name.decode() async for name in self.client.scan_iter(match=_escaped(head) + "*", count=5000)]
        parts = (name[len(head) :].split("}:", 1) for name in found)
        return [ProfileKey(int(partition), user) for partition, user in parts]  # type: ignore[arg-type]

    async def close(self) -> None:
        """See ``ProfileStore``."""
        await self.client.aclose()
        await self._barrier_client.aclose()


def _arguments(writes: Sequence[Write]) -> list[Any]:
    arguments: list[Any] = []
    for write in writes:
        arguments.append(write.expected.to_bytes(VERSION_BYTES, "big"))
        arguments.append(write.profile.version.to_bytes(VERSION_BYTES, "big") + encode_profile(write.profile))
    return arguments


def _by_partition(keys: Sequence[ProfileKey]) -> dict[int, list[int]]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key.partition].append(i)
    return groups


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
