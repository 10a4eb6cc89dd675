"""Shoppers: each has a hidden taste, comes for something, and acts one event at a time.

A shopper has no clock and no network: ``step`` is told the time and where to look for the list on the home page,
and returns the next event. So the same shoppers make a history for training and walk live through a demo.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypedDict

import numpy as np
from msgspec.structs import replace
from numpy.random import Generator

from contracts.events import (
    AnyEvent,
    CartAdd,
    Click,
    Hide,
    Impression,
    ItemId,
    Line,
    Purchase,
    Search,
    UserId,
    View,
)
from launch.shop.choices import chance_of_click, first_click
from launch.shop.products import Scores
from launch.shop.shop import LIST_SIZE, Rows, Shop
from launch.shop.tastes import RESERVE, Taste, chance

LOOKS = 8  # mean of how many lists are looked at in a session
HOME = 0.5  # share of lists that are the home page's; the others are searches and category pages
SEARCHES = 0.4  # of the others
CART_RESERVE = RESERVE + 0.5
BUYS = 0.6  # chance that a session with a filled cart ends with the order
HIDES = 0.02  # chance that a list that nothing was clicked in costs its least liked item its place
SEEN = 0.8  # how much less an item is wanted each time it was viewed
OWNED = 4.0  # how much less once it was bought


class Shown(NamedTuple):
    """A list as it was shown, with the receipt where it was a recommendation."""

    items: tuple[ItemId, ...]
    recommendation_id: str | None = None


class Who(TypedDict):
    """The fields that every event has."""

    event_id: str
    user_id: str
    time_ms: int
    session_id: str


#: What the home page shows a shopper now; None: nothing yet.
Home = Callable[[UserId], Shown | None]


class Shopper:
    """One shopper, from session to session. ``run`` makes event ids unlike those of another run."""

    def __init__(self, shop: Shop, user_id: UserId, rng: Generator, run: str = "") -> None:
        self.user_id = user_id
        self._shop, self._rng, self._run = shop, rng, run
        self._taste = Taste.draw(shop.sizes, rng)
        self._reluctance = np.zeros(len(shop.items))
        self._pending: deque[AnyEvent] = deque()
        self._cart: dict[int, None] = {}
        self._session = self._events = self._looks_left = 0
        self._begin_session()

    @property
    def resting(self) -> bool:
        """Whether the session is over: the next step begins another."""
        return not self._pending and self._looks_left <= 0

    @property
    def interest(self) -> str:
        """The department the shopper likes most: for reports alone."""
        return self._shop.offer.departments[int(self._taste.departments.argmax())].name

    def step(self, now_ms: int, home: Home) -> AnyEvent:
        """The next thing the shopper does, at ``now_ms`` (Unix milliseconds)."""
        if not self._pending:
            self._look(home)
        self._events += 1
        event_id = f"{self.user_id}-{self._run}{self._events}"
        return replace(self._pending.popleft(), event_id=event_id, time_ms=now_ms)

    def appeals(self, items: tuple[ItemId, ...]) -> list[float]:
        """The true chance that each item is clicked when it is looked at: for reports alone."""
        return self._appeals(self._shop.rows(items))

    def best_chance(self, size: int = LIST_SIZE) -> float:
        """The chance of a click on the best possible list: for reports alone."""
        best = np.sort(self._wants)[::-1][:size]
        return chance_of_click([chance(want) for want in best])

    @property
    def _wants(self) -> Scores:
        return self._utility - self._reluctance

    def _appeals(self, rows: Rows) -> list[float]:
        return [chance(want) for want in self._wants[rows].tolist()]

    def _begin_session(self) -> None:
        """The taste has drifted a little; the shopper comes for something they like."""
        rng, shop = self._rng, self._shop
        self._taste = self._taste.drifted(rng)
        self._session += 1
        self._looks_left = int(rng.geometric(1.0 / LOOKS))
        leaves = shop.leaves_of[rng.choice(shop.sizes.departments, p=self._taste.shares())]
        likings = self._taste.leaves[leaves] + 0.1
        self._mission = int(rng.choice(leaves, p=likings / likings.sum()))
        self._utility = self._taste.utility(shop.traits, self._mission)

    def _look(self, home: Home) -> None:
        """Look at one list and plan what follows from it."""
        if self._looks_left <= 0:
            self._begin_session()
        self._looks_left -= 1
        shown = home(self.user_id) if self._rng.random() < HOME else None
        self._react(shown or self._own_way())
        if self._looks_left <= 0:
            self._check_out()

    def _own_way(self) -> Shown:
        """Search, or open a category page."""
        if self._rng.random() >= SEARCHES:
            return self._listed(self._shop.category_page(self._mission, self._rng))
        style = int(self._rng.choice(np.flatnonzero(self._taste.styles == self._taste.styles.max())))
        query = self._shop.query(self._mission, style, self._rng)
        self._plan(Search(query=query, **self._who()))
        return self._listed(self._shop.search_page(self._mission, style, self._rng))

    def _listed(self, rows: Rows) -> Shown:
        return Shown(self._shop.ids(rows))

    def _react(self, shown: Shown) -> None:
        self._plan(Impression(items=shown.items, recommendation_id=shown.recommendation_id, **self._who()))
        rows = self._shop.rows(shown.items)
        appeals = self._appeals(rows)
        position = first_click(appeals, self._rng)
        if position is not None:
            self._open(int(rows[position]), shown, position)
        elif appeals and self._rng.random() < HIDES:
            self._hide(int(rows[int(np.argmin(appeals))]))

    def _open(self, row: int, shown: Shown, position: int) -> None:
        """Click, read the page, perhaps put it into the cart."""
        item, receipt = self._shop.items[row], shown.recommendation_id
        self._plan(Click(item_id=item.item_id, recommendation_id=receipt, position=position, **self._who()))
        self._plan(View(item_id=item.item_id, recommendation_id=receipt, **self._who()))
        if self._rng.random() < chance(float(self._wants[row]), CART_RESERVE):
            self._cart[row] = None
            self._plan(CartAdd(item_id=item.item_id, price=item.price, recommendation_id=receipt, **self._who()))
        self._reluctance[row] += SEEN

    def _hide(self, row: int) -> None:
        self._reluctance[row] = math.inf
        self._plan(Hide(item_id=self._shop.items[row].item_id, **self._who()))

    def _check_out(self) -> None:
        """Order what is in the cart, or leave it for another day."""
        if not self._cart or self._rng.random() >= BUYS:
            return
        items = [self._shop.items[row] for row in self._cart]
        lines = tuple(Line(item_id=item.item_id, price=item.price) for item in items)
        self._plan(Purchase(lines=lines, order_id=f"o-{self.user_id}-{self._run}{self._session}", **self._who()))
        self._reluctance[list(self._cart)] += OWNED
        self._cart.clear()

    def _plan(self, event: AnyEvent) -> None:
        self._pending.append(event)

    def _who(self) -> Who:
        """What every event has; ``step`` puts in its id and time."""
        session_id = f"{self.user_id}-{self._run}s{self._session}"
        return {"event_id": "planned", "user_id": self.user_id, "time_ms": 0, "session_id": session_id}
