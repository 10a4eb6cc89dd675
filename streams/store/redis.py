"""Profiles in Redis or Valkey: one MGET and one compare-and-set call a partition, all partitions in a round trip.

A value is the version as 8 bytes, big-endian, then the profile in msgpack. The key ``profile:{3}:u1`` puts all
profiles of partition 3 into one slot of a Cluster. Redis is a cache of the log: ``daogou rebuild`` makes it again.

A login needs no EVAL: tests/integration/test_store_redis.py holds the least rights (``RIGHTS``).
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

import structlog

from contracts.codec import decode_profile, encode_profile
from contracts.errors import BadInput, Corrupted, SettingsRefused, StoreUnavailable
from contracts.events import UserId
from contracts.profile import Profile
from contracts.settings import Settings
from streams.store.connection import SAVE, Command, Connection
from streams.store.protocol import ProfileKey, Write
from streams.store.statistics import RedisStatistics

VERSION_BYTES = 8
DAY_MS = 86_400_000
DISK_ATTEMPTS = 3
SCAN_COUNT = 1000

K = TypeVar("K", ProfileKey, Write)

log = structlog.get_logger(__name__)


def open_store(settings: Settings) -> "RedisProfiles":
    """The profiles of this shop (the topics' prefix is the keys' prefix too). Connects at the first call."""
    return RedisProfiles(settings)


def open_statistics(settings: Settings) -> RedisStatistics:
    """The statistics of this shop. Connects at the first call."""
    return RedisStatistics(Connection(settings.redis), settings.kafka.topic_prefix, _ttl_ms(settings))


class RedisProfiles:
    """``ProfileStore`` on one Redis or Valkey, 7.2 or later."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = f"{settings.kafka.topic_prefix}profile:{{"
        self._disk_key = f"{settings.kafka.topic_prefix}disk"
        self._ttl_ms = _ttl_ms(settings)
        self._settings = settings.redis
        self._connection = Connection(settings.redis)
        # WAITAOF blocks its connection and speaks of that connection's writes, so it has one of its own
        self._disk = Connection(settings.redis, settings.redis.disk_timeout + settings.redis.timeout, connections=1)

    async def check(self) -> None:
        """Loads our functions if need be, asks for the disk once. Raises: as ``ProfileStore``."""
        await self._connection.call([self._save(())])
        try:
            await self.on_disk()
        except StoreUnavailable as error:
            if "WAITAOF" not in str(error):
                raise
            raise SettingsRefused(
                "redis.wait_for_disk (DAOGOU_REDIS__WAIT_FOR_DISK): this server cannot say what is on its disk "
                f"({error}); set appendonly yes on it (Redis 7.2 or Valkey), or the setting to false"
            ) from error

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        """See ``ProfileStore``."""
        found: dict[ProfileKey, bytes | None] = {}
        groups = _by_partition((key.partition, key) for key in keys)
        answers = await self._connection.run([("MGET", *map(self._name, group)) for group in groups])
        for group, values in zip(groups, answers, strict=True):
            found.update(zip(group, values, strict=True))
        return [self._unpack(key, found[key]) for key in keys]

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """See ``ProfileStore``."""
        numbers = _by_partition((write.key.partition, at) for at, write in enumerate(writes))
        answers = await self._connection.call([self._save([writes[at] for at in group]) for group in numbers])
        saved = [False] * len(writes)
        for group, flags in zip(numbers, answers, strict=True):
            for at, flag in zip(group, flags, strict=True):
                saved[at] = flag == 1
        return saved

    async def delete(self, keys: Sequence[ProfileKey]) -> int:
        """See ``ProfileStore``."""
        groups = _by_partition((key.partition, key) for key in keys)
        return sum(await self._connection.run([("UNLINK", *map(self._name, group)) for group in groups]))

    async def on_disk(self) -> None:
        """See ``ProfileStore``; returns at once where ``redis.wait_for_disk`` is false."""
        if not self._settings.wait_for_disk:
            return
        patience_ms = int(self._settings.disk_timeout * 1000)
        for attempt in range(1, DISK_ATTEMPTS + 1):
            write = ("INCR", self._disk_key)  # WAITAOF speaks of writes up to this connection's last
            if (await self._disk.run([write, ("WAITAOF", 1, 0, patience_ms)]))[1][0] >= 1:
                return
            log.warning("redis_disk_slow", attempt=attempt, waited_seconds=self._settings.disk_timeout)
        raise StoreUnavailable(f"Redis wrote nothing to its disk for {DISK_ATTEMPTS * patience_ms / 1000:.0f} s")

    async def scan(self) -> AsyncIterator[ProfileKey]:
        """See ``ProfileStore``."""
        cursor, pattern = b"0", f"{self._prefix}*}}:*"
        while True:
            ((cursor, names),) = await self._connection.run([("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)])
            for name in names:
                partition, user = name.decode()[len(self._prefix) :].split("}:", 1)
                yield ProfileKey(int(partition), UserId(user))
            if int(cursor) == 0:
                return

    async def close(self) -> None:
        """See ``ProfileStore``."""
        await self._connection.close()
        await self._disk.close()

    def _save(self, writes: Sequence[Write]) -> Command:
        arguments: list[bytes] = []
        for write in writes:
            arguments += (_version(write.expected_version) if write.expected_version else b"", _pack(write.profile))
        return ("FCALL", SAVE, len(writes), *(self._name(w.key) for w in writes), self._ttl_ms, *arguments)

    def _name(self, key: ProfileKey) -> str:
        return f"{self._prefix}{key.partition}}}:{key.user}"

    def _unpack(self, key: ProfileKey, value: bytes | None) -> Profile | None:
        if value is None:
            return None
        try:
            profile = decode_profile(value[VERSION_BYTES:])
        except BadInput as error:
            raise Corrupted(f"{self._name(key)} in Redis is no profile ({error}); {_REMEDY}") from error
        if value[:VERSION_BYTES] != _version(profile.version):
            raise Corrupted(f"{self._name(key)} in Redis says another version outside than inside; {_REMEDY}")
        return profile


_REMEDY = "delete the key and run daogou rebuild"


def _pack(profile: Profile) -> bytes:
    return _version(profile.version) + encode_profile(profile)


def _version(version: int) -> bytes:
    return version.to_bytes(VERSION_BYTES, "big")


def _ttl_ms(settings: Settings) -> int:
    return max(1, int(settings.redis.profile_ttl_days * DAY_MS))


V = TypeVar("V")


def _by_partition(pairs: Iterable[tuple[int, V]]) -> list[list[V]]:
    groups: defaultdict[int, list[V]] = defaultdict(list)
    for partition, value in pairs:
        groups[partition].append(value)
    return list(groups.values())
