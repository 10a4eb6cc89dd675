"""What the worker has in hand and when it last moved: what the watchdog looks at."""

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any

from contracts.errors import Stuck


class Progress:
    """Written by the event loop, read by the watchdog's thread; plain values, so no lock is needed.

    ``unread_since``: since when the log has grown without the group's position moving; None if it has not.
    ``failure``: what an agent or a background task died of.
    """

    def __init__(self) -> None:
        self.in_hand = 0
        self.moved = monotonic()
        self.beat = monotonic()
        self.unread_since: float | None = None
        self.failure: BaseException | None = None
        self._end = self._committed = 0

    def took(self, records: int) -> None:
        """A batch was read."""
        self.in_hand += records
        self.moved = monotonic()

    def works(self) -> None:
        """A batch's effects were done."""
        self.moved = monotonic()

    def finished(self, records: int) -> None:
        """A batch was acked."""
        self.in_hand -= records
        self.works()

    def gave_up(self, records: int) -> None:
        """A batch is somebody else's now."""
        self.in_hand -= records
        self.moved = monotonic()

    def waits(self) -> None:
        """For something that we know is away, which is no standstill."""
        self.moved = monotonic()

    def saw(self, end: int, committed: int) -> None:
        """Where our partitions end and where the group stands, summed.

        A gap alone says nothing (a transaction's marker is never committed); a log that grows while we stand does.
        """
        if committed != self._committed or end <= committed:
            self.unread_since = None
        elif end > self._end and self.unread_since is None:
            self.unread_since = monotonic()
        self._end, self._committed = end, committed

    def alive(self) -> None:
        """The event loop turns."""
        self.beat = monotonic()

    def failed(self, error: BaseException) -> None:
        """Something that must not end has ended; the first cause counts."""
        self.failure = self.failure or error

    def watch(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run in the background what must not end by itself."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            self.failed(task.exception() or Stuck(f"{task.get_name()} ended by itself"))
