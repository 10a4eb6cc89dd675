"""The shop's past: what its shoppers did over some weeks, in the order of time. For training, and to warm a demo."""

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from contracts.events import AnyEvent, ItemId, UserId, items_of
from contracts.profile import DAY_MS
from launch.shop.bestsellers import Bestsellers
from launch.shop.products import OPENED_MS
from launch.shop.shop import LIST_SIZE, Shop
from launch.shop.shoppers import Shopper, Shown

PAUSE_S = 15.0  # median seconds between two acts of a session
SESSIONS_A_DAY = 0.4


class PastHome:
    """The home page before daogou: in turns bestsellers, products at random, and more of what was last looked at."""

    def __init__(self, shop: Shop, rng: Generator) -> None:
        self._shop, self._rng = shop, rng
        self._bestsellers = Bestsellers(shop)
        self._last: dict[str, ItemId] = {}

    def learn(self, event: AnyEvent) -> None:
        """See what a shopper did."""
        self._bestsellers.learn(event)
        for item in items_of(event)[:1]:
            self._last[event.user_id] = item

    def show(self, user_id: UserId) -> Shown:
        """What the shopper sees at home."""
        turn = self._rng.integers(3)
        if turn == 0:
            return Shown(self._bestsellers.top())
        rows = np.arange(len(self._shop.items))
        if turn == 1 and user_id in self._last:
            department = self._shop.traits.department
            rows = np.flatnonzero(department == department[self._shop.row_of[self._last[user_id]]])
        return Shown(self._shop.ids(self._rng.permutation(rows)[:LIST_SIZE]))


def make_shoppers(shop: Shop, seed: int, count: int, run: str = "") -> tuple[Shopper, ...]:
    """``count`` shoppers of a seed; ``run`` makes their event ids unlike those of another run."""
    streams = np.random.default_rng([seed, 2]).spawn(count)
    return tuple(Shopper(shop, UserId(f"shopper-{seed}-{at:04d}"), stream, run) for at, stream in enumerate(streams))


def history(shop: Shop, seed: int, shoppers: int, days: float, start_ms: int = OPENED_MS) -> Iterator[AnyEvent]:
    """What ``shoppers`` shoppers did in ``days`` days from ``start_ms``, in the order of time; the same for a seed."""
    return past(shop, make_shoppers(shop, seed, shoppers), seed, days, start_ms)


def past(shop: Shop, crowd: tuple[Shopper, ...], seed: int, days: float, start_ms: int) -> Iterator[AnyEvent]:
    """The same for shoppers that live on afterwards."""
    rng = np.random.default_rng([seed, 3])
    home = PastHome(shop, rng)
    end_ms = start_ms + int(days * DAY_MS)
    activity = rng.gamma(2.0, SESSIONS_A_DAY / 2.0, len(crowd)) + 0.02
    agenda = [(start_ms + _gap_ms(rng, activity[at]), at) for at in range(len(crowd))]
    heapq.heapify(agenda)
    while agenda and agenda[0][0] < end_ms:
        now_ms, at = agenda[0]
        event = crowd[at].step(now_ms, home.show)
        home.learn(event)
        yield event
        wait = _gap_ms(rng, activity[at]) if crowd[at].resting else int(1000 * PAUSE_S * rng.lognormal(0.0, 0.7))
        heapq.heapreplace(agenda, (now_ms + wait, at))


def _gap_ms(rng: Generator, sessions_a_day: float) -> int:
    return int(rng.exponential(DAY_MS / sessions_a_day))
