"""What the person on call looks at: a sample every few seconds, an hour of them, and what is away.

Measured from outside the workers: from the log, the group's offsets and the slates that came out. So it is right for
any number of workers, and it goes on while a part is away, and says which.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from time import time
from typing import TypeVar

import numpy as np
import structlog

from contracts.api import Cause, Operator, PartitionState, Sample
from contracts.errors import DaogouError
from contracts.events import UserId
from contracts.messages import Slate
from contracts.settings import Settings
from storefront.hub import Hub
from streams.admin import PartitionLag, lag
from streams.engine_room import EngineRoom
from streams.store import ProfileKey, ProfileStore

EVERY_SECONDS = 5.0
HOUR_SAMPLES = 720
RECENT_MS = 60_000
LIVE_MS = 60_000  # what is answered later than that says nothing about freshness

T = TypeVar("T")

log = structlog.get_logger()


class Board:
    """Samples the stream. ``run`` it in the background."""

    def __init__(self, settings: Settings, store: ProfileStore, hub: Hub, engine: EngineRoom) -> None:
        self._settings, self._store, self._hub, self._engine = settings, store, hub, engine
        self.samples: deque[Sample] = deque(maxlen=HOUR_SAMPLES)
        self._lag: tuple[PartitionLag, ...] = ()
        self._away: list[str] = []
        self._before: tuple[float, int, int] | None = None  # when, events in the log, slates seen

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """One sample."""
        settings, self._away = self._settings, []
        found = await self._asked("Kafka", lambda: asyncio.to_thread(lag, settings.kafka, settings.stream.group))
        await self._asked("Redis", lambda: self._store.load([ProfileKey(0, UserId("-"))]))
        self._lag = found or self._lag
        now, events, slates = time(), sum(part.latest for part in self._lag), self._hub.seen
        then, events_then, slates_then = self._before or (now - EVERY_SECONDS, events, slates)
        seconds = max(now - then, 1e-3)
        fresh = freshness([each for each in self._recent() if each.made_ms > (now - seconds) * 1000])
        self._before = now, events, slates
        self.samples.append(
            Sample(
                time_ms=int(now * 1000), events_per_second=max(0, events - events_then) / seconds,
                slates_per_second=(slates - slates_then) / seconds, freshness_p50_ms=fresh[0],
                freshness_p99_ms=fresh[1], lag=sum(part.lag for part in self._lag),
            )
        )  # fmt: skip

    def now(self) -> Operator:
        """The last sample and what stands behind it."""
        recent = self._recent()
        degraded = Counter(slate.degraded for slate in recent if slate.degraded)
        newest = self._hub.latest[-1] if self._hub.latest else None
        shown = {slot.item_id for slate in self._hub.latest for slot in slate.items}
        return Operator(
            samples=tuple(self.samples), away=tuple(self._away),
            partitions=tuple(PartitionState(partition=p.partition, lag=p.lag, latest=p.latest) for p in self._lag),
            degraded=tuple(Cause(cause=cause, count=count) for cause, count in degraded.most_common()),
            recent_slates=len(recent), items=self._engine.items(), items_shown=len(shown),
            bundle=newest.bundle if newest else None, streams=self._hub.listening,
        )  # fmt: skip

    def _recent(self) -> list[Slate]:
        since = time() * 1000 - RECENT_MS
        return [slate for slate in self._hub.latest if slate.made_ms >= since]

    async def _asked(self, part: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None with the part noted as away."""
        try:
            return await ask()
        except DaogouError as error:
            self._away.append(part)
            log.warning("a part is away", part=part, error=str(error))
            return None


def freshness(slates: list[Slate]) -> tuple[float, float]:
    """p50 and p99, milliseconds from the event's time to its slate's hand-over; 0 where there is none."""
    ages = [slate.made_ms - slate.trigger.time_ms for slate in slates]
    live = np.array([age for age in ages if 0 <= age < LIVE_MS], np.float64)
    return (float(np.percentile(live, 50)), float(np.percentile(live, 99))) if len(live) else (0.0, 0.0)
