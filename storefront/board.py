"""What the person on call looks at: a sample every few seconds, an hour of them, and what is away.

Measured from outside the workers: from the log, the group's offsets and the slates that came out. So it is right for
any number of workers, and it goes on while a part is away, and says which.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from time import time
from typing import Literal, TypeVar

import numpy as np
import structlog

from contracts.arms import CONTROL, DAOGOU
from contracts.errors import DaogouError
from contracts.events import BundleDigest, UserId
from contracts.messages import Slate
from contracts.operator_api import Away, Cause, ClickRates, Coverage, ModelState, Operator, PartitionState, Sample
from contracts.settings import Settings
from storefront.hub import Hub
from storefront.ledger import Ledger
from streams.admin import PartitionLag, lag
from streams.engine_room import EngineRoom
from streams.store import ProfileKey, ProfileStore

EVERY_SECONDS = 5.0
HOUR_SAMPLES = 720
RECENT_MS = 60_000
LIVE_MS = 60_000  # what is answered later than that says nothing about freshness
BUNDLES = 100  # whose first slate is remembered

Part = Literal["Kafka", "Redis"]
T = TypeVar("T")

log = structlog.get_logger()


class Board:
    """Samples the stream. ``run`` it in the background. ``ledger`` None: clicks are not counted."""

    def __init__(
        self, settings: Settings, store: ProfileStore, hub: Hub, engine: EngineRoom, ledger: Ledger | None = None
    ) -> None:
        self._settings, self._store, self._hub, self._engine = settings, store, hub, engine
        self._ledger = ledger
        self.samples: deque[Sample] = deque(maxlen=HOUR_SAMPLES)
        self._lag: tuple[PartitionLag, ...] = ()
        self._away: dict[Part, Away] = {}
        self._since: dict[BundleDigest, int] = {}  # bundle: when its first slate was made, as far as we saw
        self._rates: ClickRates | None = None
        self._before: tuple[float, int, int] | None = None  # when, events in the log, slates seen

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """One sample. A part that is slow to say no keeps the other one waiting for nothing."""
        found, _ = await asyncio.gather(
            self._asked("Kafka", lambda: asyncio.to_thread(lag, self._settings.kafka, self._settings.stream.group)),
            self._asked("Redis", lambda: self._store.load([ProfileKey(0, UserId("-"))])),
        )
        self._lag = found or self._lag
        self._rates = self._ledger.rates() if self._ledger is not None else None
        self._remember_bundles()
        self._sample()

    @property
    def away(self) -> tuple[str, ...]:
        """The parts that do not answer now."""
        return tuple(self._away)

    def now(self) -> Operator:
        """The last sample and what stands behind it."""
        recent = self._recent()
        return Operator(
            samples=tuple(self.samples), away=tuple(self._away.values()),
            partitions=tuple(PartitionState(partition=p.partition, lag=p.lag, latest=p.latest) for p in self._lag),
            degraded=causes(slate.degraded for slate in recent if slate.degraded),
            recent_slates=len(recent), coverage=self._coverage(), models=self._models(recent),
            click_rates=self._rates, streams=self._hub.listening,
        )  # fmt: skip

    def _sample(self) -> None:
        now, events, slates = time(), sum(part.latest for part in self._lag), self._hub.seen
        then, events_then, slates_then = self._before or (now - EVERY_SECONDS, events, slates)
        self._before, seconds, recent = (now, events, slates), max(now - then, 1e-3), self._recent()
        fresh = freshness([each for each in recent if each.made_ms > (now - seconds) * 1000])
        self.samples.append(
            Sample(
                time_ms=int(now * 1000), events_per_second=max(0, events - events_then) / seconds,
                slates_per_second=(slates - slates_then) / seconds, freshness_p50_ms=fresh[0],
                freshness_p99_ms=fresh[1], lag=sum(part.lag for part in self._lag),
                degraded_share=sum(bool(slate.degraded) for slate in recent) / max(1, len(recent)),
                click_rate=_rate_of(self._rates, DAOGOU), control_rate=_rate_of(self._rates, CONTROL),
            )
        )  # fmt: skip

    def _coverage(self) -> Coverage:
        items, available, embedded = self._engine.coverage()
        shown = {slot.item_id for slate in self._hub.latest for slot in slate.items}
        return Coverage(items=items, available=available, embedded=embedded, shown=len(shown))

    def _models(self, recent: list[Slate]) -> tuple[ModelState, ...]:
        made = Counter(slate.bundle for slate in recent if slate.bundle)
        if not made and self._since:
            made = Counter(dict.fromkeys(list(self._since)[-1:], 0))  # the last that there was
        return tuple(
            ModelState(bundle=bundle, name=self._engine.model_name(bundle), since_ms=self._since[bundle], slates=count)
            for bundle, count in made.most_common() if bundle in self._since
        )  # fmt: skip

    def _remember_bundles(self) -> None:
        for slate in self._hub.latest:
            if slate.bundle and slate.made_ms < self._since.get(slate.bundle, slate.made_ms + 1):
                self._since[slate.bundle] = slate.made_ms
        while len(self._since) > BUNDLES:
            del self._since[next(iter(self._since))]

    def _recent(self) -> list[Slate]:
        since = time() * 1000 - RECENT_MS
        return [slate for slate in self._hub.latest if slate.made_ms >= since]

    async def _asked(self, part: Part, ask: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None with the part noted as away."""
        try:
            found = await ask()
        except DaogouError as error:
            known = self._away.get(part)
            since = known.since_ms if known else int(time() * 1000)
            self._away[part] = Away(part=part, since_ms=since, message=str(error))
            log.warning("a part is away", part=part, error=str(error))
            return None
        self._away.pop(part, None)
        return found


def causes(found: Iterable[str]) -> tuple[Cause, ...]:
    """How often each, the most frequent first."""
    return tuple(Cause(cause=cause, count=count) for cause, count in Counter(found).most_common())


def freshness(slates: list[Slate]) -> tuple[float, float]:
    """p50 and p99, milliseconds from the event's time to its slate's hand-over; 0 where there is none."""
    ages = [slate.made_ms - slate.trigger.time_ms for slate in slates]
    live = np.array([age for age in ages if 0 <= age < LIVE_MS], np.float64)
    return (float(np.percentile(live, 50)), float(np.percentile(live, 99))) if len(live) else (0.0, 0.0)


def _rate_of(rates: ClickRates | None, arm: str) -> float | None:
    found = [each for each in rates.arms if each.arm == arm and each.lists] if rates else []
    return found[0].rate.value if found else None
