"""Rate limits: a token bucket for each visitor, or for each address where only a page's key is known."""

from collections import OrderedDict
from math import ceil
from time import monotonic

from contracts.errors import TooMany

KEPT = 100_000


class Limits:
    """``rate`` requests a second on average, ``burst`` at once; the longest silent are forgotten first."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, now: float | None = None) -> None:
        """One request more. Raises: TooMany, saying when there is room again."""
        now = monotonic() if now is None else now
        left, at = self._buckets.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        self._buckets[who] = (left - 1.0 if left >= 1.0 else left, now)
        if len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        if left < 1.0:
            raise TooMany(f"more than {self._rate:g} requests a second; try again in {ceil((1 - left) / self._rate)} s")
