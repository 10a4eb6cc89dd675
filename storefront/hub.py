"""The stream's slates as they come: the last ones of each shopper in memory, and whoever listens.

A consumer without a group over the whole of ``recommendations``. It starts as far back as a slate may be fresh, so a
process that was killed knows again what a reconnecting page has not seen.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from time import time
from typing import NamedTuple

from contracts.codec import decode_slate
from contracts.errors import BadInput, Overloaded
from contracts.events import RecommendationId, UserId
from contracts.messages import Slate
from contracts.settings import Settings
from contracts.topics import RECOMMENDATIONS
from streams.names import physical
from streams.progress import Progress
from streams.tail import Runs, Tail

EACH = 20  # slates kept of one shopper
LATEST = 2_000  # slates kept of all
WAITING = 64  # slates that wait to be sent on one stream


class Numbered(NamedTuple):
    """A slate and where it stands in its partition; None: the shopper was forgotten."""

    offset: int
    slate: Slate | None


class Listener(asyncio.Queue[Numbered]):
    """Slates that wait to be sent to one page.

    Who reads so slowly that they do not fit has ``missed`` some: that stream ends, and the page comes again with the id
    of the last one that it has.
    """

    def __init__(self) -> None:
        super().__init__(WAITING)
        self.missed = False

    def hear(self, each: Numbered) -> None:
        """One more."""
        if self.full():
            self.missed = True
        else:
            self.put_nowait(each)


class Hub:
    """Follows ``recommendations``."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        topic = physical(settings.kafka, RECOMMENDATIONS)
        self._tail = Tail(settings.kafka, (topic,), "the stream of slates", self._take)
        self._of: OrderedDict[UserId, deque[Numbered]] = OrderedDict()
        self._by_id: OrderedDict[RecommendationId, Slate] = OrderedDict()
        self._listeners: dict[UserId, set[Listener]] = {}
        self._task: asyncio.Task[None] | None = None
        self._forgets: list[Callable[[UserId], None]] = []
        self.listening = 0
        self.latest: deque[Slate] = deque(maxlen=LATEST)
        self.seen = 0  # slates since the start

    async def start(self) -> None:
        """Read back what is fresh, then follow. Raises: BrokerUnavailable, TopicsRefused."""
        await self._tail.start(int((time() - self._settings.api.fresh_seconds) * 1000))
        self._task = self._progress.watch(self._tail.follow(), "hub")

    async def stop(self) -> None:
        """Let go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._tail.stop()

    def last(self, user: UserId) -> Slate | None:
        """A shopper's newest slate."""
        slates = self._of.get(user)
        return slates[-1].slate if slates else None

    def of(self, user: UserId) -> tuple[Slate, ...]:
        """A shopper's last slates, newest first."""
        return tuple(each.slate for each in reversed(self._of.get(user, ())) if each.slate is not None)

    def by_id(self, recommendation: RecommendationId) -> Slate | None:
        """A slate that was seen lately."""
        return self._by_id.get(recommendation)

    def note(self, slate: Slate) -> None:
        """Remember a slate that was computed for a request, so that its receipt can be asked for."""
        self._by_id[slate.recommendation_id] = slate
        if len(self._by_id) > self._settings.api.slates:
            self._by_id.popitem(last=False)

    def on_forget(self, told: Callable[[UserId], None]) -> None:
        """Tell ``told`` of each shopper who is forgotten."""
        self._forgets.append(told)

    def open(self, user: UserId, after: int | None) -> Listener:
        """A shopper's slates beyond the offset ``after``, from what is kept and then as they come.

        ``after`` None: only the newest of what is kept. Give it back to ``close``. Raises: Overloaded.
        """
        self.room()
        queue = Listener()
        kept = [each for each in self._of.get(user, ()) if each.slate is not None]
        for each in kept[-1:] if after is None else [each for each in kept if each.offset > after]:
            queue.hear(each)
        self._listeners.setdefault(user, set()).add(queue)
        self.listening += 1
        return queue

    def room(self) -> None:
        """Raises: Overloaded, where as many listen as may."""
        if self.listening >= self._settings.api.streams:
            raise Overloaded(f"{self.listening:,} streams are open already")

    def close(self, user: UserId, queue: Listener) -> None:
        """Nobody listens there any more."""
        self.listening -= 1
        self._listeners[user].discard(queue)
        if not self._listeners[user]:
            del self._listeners[user]

    async def _take(self, runs: Runs) -> None:
        for record in (record for records in runs.values() for record in records):
            user = UserId((record.key or b"").decode(errors="replace"))
            try:
                slate = None if record.value is None else decode_slate(record.value)
            except BadInput:
                continue  # none of ours
            self._put(user, Numbered(record.offset, slate))

    def _put(self, user: UserId, each: Numbered) -> None:
        slates = self._of.pop(user, None) or deque(maxlen=EACH)
        self._of[user] = slates
        if each.slate is None:
            slates.clear()
            for told in self._forgets:
                told(user)
        else:
            self.seen += 1
            self.note(each.slate)
            self.latest.append(each.slate)
        slates.append(each)
        if len(self._of) > self._settings.api.slates:
            self._of.popitem(last=False)
        for queue in self._listeners.get(user, ()):
            queue.hear(each)
