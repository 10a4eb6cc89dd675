"""What a replay predicts: the turns of the shoppers, one rule for all models and all delays.

A *turn* is a click, a view, a cart addition or a purchase of an item other than the one that the shopper is on (the
item of their last turn; the view after a click on the same item is no turn). An order of several items is a turn to
each of them. A shopper's very first item is no turn: nothing was answered before it, so no slate could be right.

Repeats count: who goes back to an item that they met before has turned to it, and a slate could have brought them
there sooner. They are told apart as ``Part.SEEN``. Cold items count too (``Part.COLD``): nobody turned to them before,
so counts cannot know them, and leaving them out would flatter all of us.
"""

from enum import IntEnum
from typing import NamedTuple

from contracts.events import AnyEvent, ItemId, Kind, UserId, erases, items_of, kind_of

TURNING = frozenset({Kind.CLICK, Kind.VIEW, Kind.CART_ADD, Kind.PURCHASE})


class Part(IntEnum):
    """What the target was: new to the shopper but not to the shop, met by the shopper before, new to everybody."""

    NEW = 0
    SEEN = 1
    COLD = 2


class Turn(NamedTuple):
    """One target. ``shopper`` is a number from 0, in the order in which shoppers first came."""

    shopper: int
    item: ItemId
    part: Part


class Turns:
    """Follows all shoppers through the log as it truly was; no delay holds it back, so targets are always the same."""

    def __init__(self) -> None:
        self.firsts = 0  # first items of shoppers, which are no turns
        self._on: dict[UserId, ItemId] = {}
        self._numbers: dict[UserId, int] = {}
        self._met: set[tuple[int, ItemId]] = set()
        self._known: set[ItemId] = set()

    def see(self, event: AnyEvent) -> list[Turn]:
        """The turns that ``event`` makes, as seen just before it; then it is noted."""
        user = UserId(event.user_id)
        if erases(event):
            self._on.pop(user, None)
        if kind_of(event) not in TURNING:
            return []
        shopper, on = self._numbers.setdefault(user, len(self._numbers)), self._on.get(user)
        items = tuple(dict.fromkeys(items_of(event)))
        turns = [Turn(shopper, item, self._part(shopper, item)) for item in items if item != on]
        self._note(user, shopper, items)
        if on is None:
            self.firsts += len(items)
            return []
        return turns

    def _part(self, shopper: int, item: ItemId) -> Part:
        if (shopper, item) in self._met:
            return Part.SEEN
        return Part.NEW if item in self._known else Part.COLD

    def _note(self, user: UserId, shopper: int, items: tuple[ItemId, ...]) -> None:
        self._on[user] = items[-1]
        self._known.update(items)
        self._met.update((shopper, item) for item in items)
