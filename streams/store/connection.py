"""One connection pool to Redis or Valkey: batches of commands, never cancelled in flight, errors as ours."""

import asyncio
from collections.abc import Coroutine, Sequence
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)  # fmt: skip

from contracts.errors import AccessRefused, DaogouError, SettingsRefused, StoreUnavailable
from contracts.settings import RedisSettings

LIBRARY = "daogou_1"
SAVE, LEARN, MARK, STRONGEST = (f"{LIBRARY}_{name}" for name in ("save", "learn", "mark", "strongest"))

Command = tuple[Any, ...]
R = TypeVar("R")


class Connection:
    """A pool. Connects at the first command; any event loop, but only one."""

    def __init__(self, settings: RedisSettings, timeout: float | None = None, connections: int = 8) -> None:
        """``timeout``: seconds for one answer, if not the settings'. Who finds all ``connections`` taken waits."""
        try:
            pool = BlockingConnectionPool.from_url(
                settings.url.get_secret_value(),
                socket_timeout=timeout or settings.timeout,
                socket_connect_timeout=settings.timeout,
                socket_keepalive=True,
                max_connections=connections,
                timeout=settings.timeout,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as error:
            raise SettingsRefused(f"redis.url (DAOGOU_REDIS__URL): {error}") from error
        self._redis = Redis.from_pool(pool)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to ``commands``, in one round trip on one connection; the first error is raised.

        Raises:
            StoreUnavailable: cannot be reached, too slow, full, or not ready. Commands may have been done.
            AccessRefused: login or right refused.
        """
        answers = await self._whole(self._send(commands)) if commands else []
        for answer in answers:
            if isinstance(answer, RedisError):
                raise _ours(answer) from answer
        return answers

    async def call(self, commands: Sequence[Command]) -> list[Any]:
        """``run`` for commands that are all FCALLs: loads our function library if the server lacks it."""
        try:
            return await self.run(commands)
        except StoreUnavailable as error:
            if not _lacks_library(error):
                raise
        await self.load_library()
        return await self.run(commands)

    async def load_library(self) -> None:
        """Put our functions there, beside those of other versions."""
        await self.run([("FUNCTION", "LOAD", "REPLACE", files(__package__).joinpath("daogou.lua").read_bytes())])

    async def close(self) -> None:
        """Wait for what is under way, then disconnect."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._redis.aclose()

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            return await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise _ours(error) from error

    async def _whole(self, work: Coroutine[Any, Any, R]) -> R:
        """A cancelled command would leave its answer on the connection for the next one (redis-py #2665)."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its waiter may be gone; an error that nobody fetched would be logged as lost


def _lacks_library(error: StoreUnavailable) -> bool:
    return "Function not found" in str(error)


def _ours(error: Exception) -> DaogouError:
    """Values are never in the message: they are shoppers' profiles."""
    text = str(error) or type(error).__name__
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return AccessRefused(f"Redis refuses us: {text}; see redis.url (DAOGOU_REDIS__URL)")
    if isinstance(error, ResponseError):
        return StoreUnavailable(f"Redis answers with an error: {text}")
    return StoreUnavailable(f"Redis cannot be reached or does not answer in time: {text}")
