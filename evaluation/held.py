"""What the live loop knows at a moment of the log: the profiles and lessons held back, and the catalogue so far."""

from collections import deque
from collections.abc import Sequence

from contracts.events import AnyEvent, UserId
from contracts.messages import CatalogueItem, Embedding
from contracts.profile import Outcome, Position, Profile, apply
from contracts.statistics import Decay, Increments
from inference.engine import Engine

EMBED = 256
EPOCH = "replay"


class Shelf:
    """The catalogue as it fills: an item is there from ``added_ms`` on, or from the start where that is unknown.

    Texts are embedded once, however many engines it stocks.
    """

    def __init__(self, items: Sequence[CatalogueItem]) -> None:
        self._items = sorted(items, key=lambda item: item.added_ms or 0)
        self._embedded: dict[str, Embedding] = {}

    def __len__(self) -> int:
        return len(self._items)

    def stock(self, engine: Engine, start: int, now_ms: int) -> int:
        """Upsert what came since item number ``start``; returns the number to go on from. Raises: ModelUnavailable."""
        end = start
        while end < len(self._items) and (self._items[end].added_ms or 0) <= now_ms:
            engine.upsert(self._items[end])
            end += 1
        for at in range(start, end, EMBED):
            self._embed(engine, self._items[at : min(end, at + EMBED)])
        return end

    def _embed(self, engine: Engine, items: Sequence[CatalogueItem]) -> None:
        new = [item for item in items if item.item_id not in self._embedded]
        self._embedded |= {each.item_id: each for each in engine.embed(new)}
        for item in items:
            if (embedding := self._embedded.get(item.item_id)) is not None:
                engine.set_embedding(embedding)


class Held:
    """What the loop knows when everything reaches it ``held_ms`` after it happened, in the order of the log."""

    def __init__(self, held_ms: int, decay: Decay) -> None:
        self.profiles: dict[UserId, Profile] = {}
        self._held_ms, self._decay = held_ms, decay
        self._waiting: deque[tuple[int, AnyEvent]] = deque()
        self._increments = Increments(decay)

    def happened(self, offset: int, event: AnyEvent) -> None:
        """Something happened; it is not known yet."""
        self._waiting.append((offset, event))

    def advance(self, now_ms: int) -> None:
        """Fold, and note the lessons of, all that is old enough."""
        while self._waiting and self._waiting[0][1].time_ms <= now_ms - self._held_ms:
            offset, event = self._waiting.popleft()
            before = self.profiles.get(UserId(event.user_id))
            after, outcome = apply(before, Position(EPOCH, 0, offset), event)
            if outcome is Outcome.APPLIED:
                self._increments.learn(before, event)
            self.profiles[after.user_id] = after

    def lessons(self) -> Increments:
        """What was noted since the last call, to be added to the shared counts."""
        noted, self._increments = self._increments, Increments(self._decay)
        return noted
