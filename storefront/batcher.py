"""Requests that wait for the same kind of work share it: what has come while one batch runs is the next batch.

A lone request is answered at once, and under load batches grow by themselves. A queue that is too long refuses instead
of growing, and nobody waits longer than their deadline, whatever is away behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from contracts.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """``work`` answers many at once, in their order; at most ``most`` in a batch, at most ``queue`` waiting.

    ``seconds``: how long one waits, for its batch and those before it.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        most: int,
        queue: int,
        seconds: float | None = None,
    ) -> None:
        self._name, self._work, self._most, self._queue, self._seconds = name, work, most, queue, seconds
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, one: T) -> R:
        """One answer. Raises: Overloaded, and whatever ``work`` raises for its batch.

        Work that has begun goes on when its caller has given up; who still waited is left out.
        """
        if len(self._waiting) >= self._queue:
            raise Overloaded(f"{len(self._waiting):,} requests wait for {self._name} already")
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name=f"batcher {self._name}")
        try:
            async with asyncio.timeout(self._seconds):
                return await answer
        except TimeoutError as error:
            raise Overloaded(f"no answer from {self._name} within {self._seconds:g} s; send it again") from error

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer([(one, answer) for one, answer in batch if not answer.done()])
        finally:
            self._running = None

    async def _answer(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            found = await self._work([one for one, _ in batch]) if batch else ()
        except Exception as error:  # noqa: BLE001  every waiter of a failed batch is answered with its error
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, found, strict=True):
            if not answer.done():
                answer.set_result(result)
