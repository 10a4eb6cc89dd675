"""What all shoppers together teach: what follows what, and what is trending. Counts that decay, learned live.

One event teaches pairs (an item seen shortly before -> this item) and a trend. Counts decay by half every
``half_life``; forward decay (Cormode et al., 2009) writes them inflated by ``2 ** ((t - landmark) / half_life)``,
so that they can be summed in any order, anywhere, and are deflated only when read.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.events import AnyEvent, ItemId, Kind, items_of, kind_of
from contracts.items import NO_ROW, ItemTable, Rows
from contracts.neighbours import Count, Neighbours, Sought
from contracts.profile import Profile

WINDOW = 10  # so many of a shopper's last items say what may come
LESSON = 20  # so many of them does what comes teach
NEIGHBOURS = 200
AT_ONCE = 4096  # items that are taught before those that they lead to hear of it
LANDMARK_MS = 1_735_689_600_000  # 2025-01-01; with 14 days of half-life good from 1987 to 2063
HALF_LIFE_MS = 14 * 86_400_000

#: A pair counts by how soon the second item followed: half after ``CLOSE_MS``, and never less than ``LEAST_CLOSE``.
CLOSE_MS = 180_000
LEAST_CLOSE = 0.1

#: How much an event says about how its item trends. What is not here teaches nothing, pairs neither.
WEIGHTS = {
    Kind.CLICK: 1.0, Kind.VIEW: 1.0, Kind.WISHLIST: 2.0, Kind.CART_ADD: 3.0, Kind.PURCHASE: 5.0, Kind.REVIEW: 3.0,
}  # fmt: skip

#: Events that say no to their item: they do not make it one of the shopper's last items.
REFUSALS = frozenset({Kind.CART_REMOVE, Kind.HIDE, Kind.REFUND})

Scores = NDArray[np.float64]
Taught = Iterable[tuple[ItemId, Iterable[tuple[ItemId, float]]]]  # items, and what follows each, by inflated weights


class Decay(NamedTuple):
    """Exponential decay, written forward from a landmark."""

    half_life_ms: float = HALF_LIFE_MS
    landmark_ms: int = LANDMARK_MS

    def inflate(self, time_ms: int) -> float:
        """What a count of 1 at ``time_ms`` weighs on paper."""
        return math.pow(2.0, max(-1000.0, min(1000.0, (time_ms - self.landmark_ms) / self.half_life_ms)))

    def deflate(self, nows_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """The factors that turn paper weights into counts as of ``nows_ms``."""
        ages = (nows_ms - self.landmark_ms) / self.half_life_ms
        return np.asarray(2.0 ** -np.clip(ages, -1000.0, 1000.0))


class Increments:
    """What some events taught, summed, in inflated weights: ready to be added to anybody's counts."""

    def __init__(self, decay: Decay) -> None:
        self.decay = decay
        self.pairs: defaultdict[ItemId, defaultdict[ItemId, float]] = defaultdict(lambda: defaultdict(float))
        self.trend: defaultdict[ItemId, float] = defaultdict(float)
        self.latest_ms = 0

    def __bool__(self) -> bool:
        return bool(self.trend)

    def learn(self, before: Profile | None, event: AnyEvent) -> None:
        """Add what ``event`` teaches, given the profile before it (None: a new shopper).

        The distinct item at distance d before it weighs ``1 / sqrt(d)`` (PCTM, RecSys 2026), by how close in time the
        two were met. All kinds of events say alike what goes together: a purchase is but the end of the same visit.
        """
        weight = WEIGHTS.get(kind_of(event))
        if weight is None or (before is not None and before.consent is False):
            return
        inflated = self.decay.inflate(event.time_ms)
        self.latest_ms = max(self.latest_ms, event.time_ms)
        recent = last_met(before, LESSON) if before else []
        for item in items_of(event):
            self.trend[item] += weight * inflated
            for distance, (earlier, time_ms) in enumerate((met for met in recent if met[0] != item), start=1):
                self.pairs[earlier][item] += inflated * close(event.time_ms - time_ms) / math.sqrt(distance)


def close(gap_ms: int) -> float:
    """How much a pair counts that was met ``gap_ms`` apart: 1 at once, half after ``CLOSE_MS``, in hours the least."""
    return max(LEAST_CLOSE, CLOSE_MS / (CLOSE_MS + max(0, gap_ms)))


def last_met(profile: Profile, window: int = WINDOW) -> list[tuple[ItemId, int]]:
    """The last distinct items that a shopper turned to and when, newest first. ``REFUSALS`` do not count."""
    found: dict[ItemId, int] = {}
    history = profile.history
    for item, kind, time_ms in zip(
        reversed(history.items), reversed(history.kinds), reversed(history.times_ms), strict=True
    ):
        if kind not in REFUSALS:
            found.setdefault(item, time_ms)
        if len(found) == window:
            break
    return list(found.items())


def recent_items(profile: Profile, window: int = WINDOW) -> list[ItemId]:
    """The items of ``last_met``, newest first."""
    return [item for item, _ in last_met(profile, window)]


class Statistics:
    """Counts of all shoppers as arrays beside an ``ItemTable``: trends, each item's strongest followers and preceders.

    Unknown items are kept out: they are not recommended. One thread at a time.
    """

    def __init__(self, table: ItemTable, decay: Decay | None = None, neighbours: int = NEIGHBOURS) -> None:
        self.table = table
        self.decay = decay or Decay()
        self.latest_ms = 0
        self._followers, self._preceders = Neighbours(neighbours), Neighbours(neighbours)
        self._trend = np.zeros(0)
        self._sums: defaultdict[ItemId, dict[ItemId, float]] = defaultdict(dict)

    def add(self, increments: Increments) -> None:
        """Learn here and now (training, a single process). Workers read back what all taught: ``put_*``."""
        self.latest_ms = max(self.latest_ms, increments.latest_ms)
        self._fit()
        for item, weight in increments.trend.items():
            row = self.table.row_of.get(item)
            if row is not None:
                self._trend[row] += weight
        self._teach(self._followers.raised, self._summed(increments))

    def _summed(self, increments: Increments) -> Taught:
        """The sums so far of the pairs that were taught."""
        for item, followers in increments.pairs.items():
            sums = self._sums[item]
            for follower, weight in followers.items():
                sums[follower] = sums.get(follower, 0.0) + weight
            yield item, [(follower, sums[follower]) for follower in followers]

    def put_followers(self, found: Taught) -> None:
        """Set items' followers to these inflated weights; the strongest are kept."""
        self._fit()
        self._teach(self._followers.put, found)

    def _teach(self, how: Callable[[int, dict[int, float]], Iterable[Count]], found: Taught) -> None:
        """Give each item its followers; what has another weight than before hears who leads to it."""
        row_of, leaders = self.table.row_of.get, defaultdict[int, dict[int, float]](dict)
        for number, (item, followers) in enumerate(found, start=1):
            row = row_of(item)
            if row is not None:
                known = ((row_of(other), weight) for other, weight in followers)
                for other, weight in how(row, {other: weight for other, weight in known if other is not None}):
                    leaders[other][row] = weight
            if number % AT_ONCE == 0:
                self._hear(leaders)
        self._hear(leaders)

    def _hear(self, leaders: dict[int, dict[int, float]]) -> None:
        for row, grown in leaders.items():
            self._preceders.raised(row, grown)
        leaders.clear()

    def put_trend(self, trend: Iterable[tuple[ItemId, float]], latest_ms: int) -> None:
        """Set items' trends to these inflated weights."""
        self._fit()
        self.latest_ms = max(self.latest_ms, latest_ms)
        for item, weight in trend:
            row = self.table.row_of.get(item)
            if row is not None:
                self._trend[row] = weight

    def trend(self, rows: Rows, nows_ms: NDArray[np.int64]) -> Scores:
        """[B, N]: decayed counts of the items of ``rows`` [B, N] as of ``nows_ms`` [B]; 0 for padding (-1)."""
        self._fit()
        counts = np.where(rows >= 0, self._trend[rows], 0.0) if len(self._trend) else np.zeros(rows.shape)
        return np.asarray(counts * self.decay.deflate(nows_ms)[:, None])

    def trending(self) -> Scores:
        """[rows]: inflated counts of the whole catalogue; their order is the order at any time."""
        self._fit()
        return self._trend[: len(self.table)]

    def followers(self, rows: Rows, weights: Scores, nows_ms: NDArray[np.int64]) -> tuple[NDArray[np.int64], Scores]:
        """What follows the items of ``rows`` [B, L] (-1 is padding), weighted by ``weights`` [L], now.

        Returns ``(keys, scores)`` sorted by key, where ``key = b * len(table) + row`` and the score is the sum over
        the history of ``weight * log1p(count)``.
        """
        return self._beside(self._followers, rows, weights, nows_ms)

    def preceders(self, rows: Rows, weights: Scores, nows_ms: NDArray[np.int64]) -> tuple[NDArray[np.int64], Scores]:
        """What led to the items of ``rows``: ``followers``, read backwards."""
        return self._beside(self._preceders, rows, weights, nows_ms)

    def _beside(
        self, neighbours: Neighbours, rows: Rows, weights: Scores, nows_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Scores]:
        self._fit()
        b, at = np.nonzero(rows >= 0)
        lengths, to, inflated = neighbours.beside(rows[b, at])
        shopper, place = np.repeat(b, lengths), np.repeat(at, lengths)
        values = np.log1p(inflated * self.decay.deflate(nows_ms)[shopper]) * weights[place]
        return summed(shopper.astype(np.int64) * max(1, len(self.table)) + to, values)

    def between(self, recent: Rows, candidates: Rows, nows_ms: NDArray[np.int64]) -> tuple[Scores, Scores]:
        """Counts as of now, both [B, N, L]: of ``candidates`` [B, N] after ``recent`` [B, L], and before them.

        Only the strongest followers and preceders of each of ``recent`` are known; everything else is 0, and so is
        padding (-1).
        """
        self._fit()
        now = self.decay.deflate(nows_ms)[:, None, None]
        sought = Sought(candidates, len(self._trend))
        after, before = (each.hits(recent, sought) for each in (self._followers, self._preceders))
        return after.transpose(0, 2, 1) * now, before.transpose(0, 2, 1) * now

    def strongest(self, recent: Rows, followers: Rows) -> Rows:
        """[M]: which of the rows ``recent`` [M, L] leads to ``followers`` [M] most; -1 where none does."""
        self._fit()
        return self._followers.strongest(recent, followers)

    def strongest_after(self, recent: Rows, preceders: Rows) -> Rows:
        """[M]: which of the rows ``recent`` [M, L] was most often turned to after ``preceders`` [M]; -1 where none."""
        self._fit()
        return self._preceders.strongest(recent, preceders)

    def _fit(self) -> None:
        missing = len(self.table) - len(self._trend)
        if missing > 0:
            self._trend = np.concatenate([self._trend, np.zeros(max(missing, len(self._trend)))])
        self._followers.fit(len(self._trend))
        self._preceders.fit(len(self._trend))


def summed(keys: NDArray[np.int64], values: Scores) -> tuple[NDArray[np.int64], Scores]:
    """The distinct keys, sorted, and the sum of each one's values."""
    unique, inverse = np.unique(keys, return_inverse=True)
    return unique, np.bincount(inverse, values, minlength=len(unique)).astype(np.float64)


def strongest_rows(keys: NDArray[np.int64], scores: Scores, shoppers: int, items: int, limit: int) -> Rows:
    """What ``followers`` found, as lists: [shoppers, limit] rows, best first, -1 where there are no more.

    ``items`` is the length of the table that the keys were made with. Ties go to the lower row.
    """
    rows = np.full((shoppers, limit), NO_ROW, np.int32)
    if not len(keys):
        return rows
    shopper, row = np.divmod(keys, items)
    order = np.lexsort((row, -scores, shopper))
    shopper, row = shopper[order], row[order]
    rank = np.arange(len(shopper)) - np.searchsorted(shopper, shopper)
    best = rank < limit
    rows[shopper[best], rank[best]] = row[best]
    return rows


def look_up(keys: NDArray[np.int64], scores: Scores, wanted: NDArray[np.int64]) -> Scores:
    """The scores of ``wanted`` keys (any shape) in sorted ``keys``; 0 where absent."""
    if len(keys) == 0:
        return np.zeros(wanted.shape)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.asarray(np.where(keys[at] == wanted, scores[at], 0.0))


def kernel(length: int = WINDOW, base: float = 0.6) -> Scores:
    """[length]: how much each of the last items counts, newest first."""
    return np.asarray(base ** np.arange(length, dtype=np.float64))


def sequence_rows(table: ItemTable, profiles: Sequence[Profile], window: int = WINDOW) -> Rows:
    """[B, window]: the rows of each shopper's last distinct items, newest first, -1 for padding and unknown items."""
    lists = [recent_items(profile, window) for profile in profiles]
    lengths = np.array([len(items) for items in lists], np.int64)
    rows = np.full((len(profiles), window), NO_ROW, np.int32)
    rows[np.arange(window) < lengths[:, None]] = table.rows([item for items in lists for item in items])
    return rows
