"""What the demo counts and measures while it runs, and the figures made of it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from contracts.events import AnyEvent, Click, Impression, UserId
from contracts.messages import Slate
from launch.demo.plan import BESTSELLERS, DAOGOU, arm_of


class Quantiles(Struct, frozen=True, kw_only=True):
    """Milliseconds: how many were measured, median, 99th percentile, largest."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    largest: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Quantiles":
        """Of durations in seconds."""
        if not seconds:
            return cls()
        p50, p99, largest = (float(x) * 1000 for x in np.percentile(seconds, (50, 99, 100)))
        return cls(count=len(seconds), p50=round(p50, 1), p99=round(p99, 1), largest=round(largest, 1))


class Arm(Struct, kw_only=True):
    """One way to fill the home page. ``expected`` and ``oracle`` are sums of the shoppers' true chances of a click.

    ``oracle``: on the best list there could be for the same shoppers at the same moments.
    """

    shown: int = 0
    clicks: int = 0
    expected: float = 0.0
    oracle: float = 0.0

    def per_hundred(self, amount: float) -> float:
        """``amount`` for a hundred lists shown."""
        return round(100 * amount / self.shown, 2) if self.shown else 0.0


class Figures:
    """Everything that is counted between the first live event and the last."""

    def __init__(self) -> None:
        self.arms = {DAOGOU: Arm(), BESTSELLERS: Arm()}
        self.freshness: list[float] = []
        self.lag: list[float] = []
        self.events = self.slates = 0
        self.degraded: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()

    def sent(self, event: AnyEvent, late: float) -> None:
        """An event left, ``late`` seconds after it was due."""
        self.events += 1
        self.lag.append(late)
        arm = self.arms[arm_of(UserId(event.user_id))]
        if isinstance(event, Impression) and event.recommendation_id:
            arm.shown += 1
        elif isinstance(event, Click) and event.recommendation_id:
            arm.clicks += 1

    def could_have(self, arm: str, expected: float, oracle: float) -> None:
        """What a list that was shown was truly worth, and what the best would have been."""
        self.arms[arm].expected += expected
        self.arms[arm].oracle += oracle

    def received(self, slate: Slate, seconds: float) -> None:
        """A slate came, so long after its event's time."""
        self.slates += 1
        self.freshness.append(seconds)
        self.sources.update(item.source for item in slate.items)
        if slate.degraded:
            self.degraded[slate.degraded] += 1

    @property
    def ratio(self) -> float:
        """Clicks a list on daogou's against clicks a list on bestsellers; 0 where there are none to compare with."""
        ours, theirs = (arm.per_hundred(arm.clicks) for arm in (self.arms[DAOGOU], self.arms[BESTSELLERS]))
        return round(ours / theirs, 2) if theirs else 0.0

    @property
    def expected_ratio(self) -> float:
        """The same without the luck of the draw: of the true chances."""
        ours, theirs = (arm.per_hundred(arm.expected) for arm in (self.arms[DAOGOU], self.arms[BESTSELLERS]))
        return round(ours / theirs, 2) if theirs else 0.0
