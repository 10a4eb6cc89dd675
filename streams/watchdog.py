"""Ends a process that only looks alive: work in hand and nothing moves, or an event loop that hangs.

A thread, because a hung loop cannot watch itself. The supervisor starts the worker again; the log has everything.
"""

import asyncio
import os
import sys
import threading
from time import monotonic

import structlog

from streams.progress import Progress

EXIT_STUCK = 70  # EX_SOFTWARE of sysexits.h
BEAT_SECONDS = 0.5

log = structlog.get_logger()


class Watchdog:
    """Watches a ``Progress``. ``stuck_after`` in seconds."""

    def __init__(self, progress: Progress, stuck_after: float) -> None:
        self._progress, self._stuck_after = progress, stuck_after
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._progress.alive()
        self._thread.start()

    async def beat(self) -> None:
        """To be run on the loop: says that it turns, until cancelled."""
        while True:
            self._progress.alive()
            await asyncio.sleep(BEAT_SECONDS)

    def stop(self) -> None:
        """End watching."""
        self._done.set()

    def fault(self, now: float) -> str:
        """What is wrong at ``now`` (monotonic seconds), or an empty string."""
        p = self._progress
        if now - p.beat > self._stuck_after:
            return f"the event loop has not turned for {now - p.beat:.0f} s"
        if p.in_hand > 0 and now - p.moved > self._stuck_after:
            return f"{p.in_hand} records in hand and nothing has moved for {now - p.moved:.0f} s"
        unread = p.unread_since
        if unread is not None and now - max(unread, p.moved) > self._stuck_after:
            return f"the log grows, and nothing of it has been read for {now - max(unread, p.moved):.0f} s"
        return ""

    def _watch(self) -> None:
        while not self._done.wait(min(1.0, self._stuck_after / 4)):
            fault = self.fault(monotonic())
            if fault:
                log.error("stuck: this process ends so that another can take over", fault=fault)
                sys.stderr.flush()
                os._exit(EXIT_STUCK)  # a hung loop would not let sys.exit through
