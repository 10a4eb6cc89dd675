"""A log replayed in time order: each turn is predicted before it is learned, with what the live loop knows then.

Test, then learn (prequential evaluation; Gama, Sebastião, Rodrigues, 2013; Vinagre, Jorge, Gama, 2014). What the loop
knows is made by its own parts: ``apply`` folds the profiles, ``Increments`` and ``Statistics`` count, the engine
answers. The prediction stands at the moment of the turn itself: the slate that the shopper would be given then.

``held_ms`` holds knowledge back: at any moment the profiles and the counts know the events that are at least so old,
and no other. At 0 these are all events that stand before this one in the log, those of the same millisecond too.
Profiles are exact; the shared counts are flushed at intervals of ``flush_ms``, as they are live.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from contracts.events import AnyEvent, EventId, UserId
from contracts.messages import Trigger
from contracts.profile import Profile
from contracts.statistics import sequence_rows
from contracts.surfaces import NEXT
from contracts.topics import CLICKSTREAM
from evaluation.held import Held, Shelf
from evaluation.standing import by_counts, by_trend, in_slates
from evaluation.turns import Turn, Turns
from inference.ask import Ask
from inference.engine import Engine

LIST = 20
STEP = 256
MODELS = ("daogou", "count model", "popularity")

Step = Callable[[int, int], None]


class Plan(Struct, frozen=True, kw_only=True):
    """How to replay. ``first`` and ``last`` are shares of the events: turns between them are predicted.

    Before ``first`` the log is only learned from; after ``last`` it is not read, so that settings can be chosen on a
    part of the log and measured on the rest. ``batch``: most turns that are answered together. ``surface``: which of
    the engine's answers. ``one_in``: of so many shoppers one is asked, all teach.
    """

    first: float = 0.6
    last: float = 1.0
    flush_ms: int = 1000
    batch: int = 64
    surface: str = NEXT
    one_in: int = 1

    def between(self, events: int) -> range:
        """The numbers of the events whose turns are predicted."""
        return range(round(events * self.first), round(events * self.last))


class Ranked(NamedTuple):
    """Ranks [models, T] in the order of ``MODELS``, whose turn each was [T], and its ``Part`` [T].

    ``degraded`` counts slates that the bundle did not score; ``firsts`` the first items, which are no turns.
    """

    ranks: NDArray[np.int64]
    shoppers: NDArray[np.int64]
    parts: NDArray[np.int64]
    degraded: int
    firsts: int


class Asked(NamedTuple):
    """A slate that is asked for, and the turn that it should have foreseen."""

    ask: Ask
    turn: Turn


class Replay:
    """One pass through a log at one delay. The engine must be new: it is taught here."""

    def __init__(self, engine: Engine, shelf: Shelf, held_ms: int, plan: Plan) -> None:
        self._engine, self._shelf, self._plan = engine, shelf, plan
        self._held = Held(held_ms, engine.statistics.decay)
        self._turns = Turns()
        self._asked: list[Asked] = []
        self._answered: list[Turn] = []
        self._ranks: list[NDArray[np.int64]] = [np.zeros((len(MODELS), 0), np.int64)]
        self._degraded = self._stocked = 0
        self._flushed_ms: int | None = None

    def run(self, events: Sequence[AnyEvent], step: Step) -> Ranked:
        """All events in their order, which must be that of time. ``step`` is told how far it is, and of how many."""
        predicted = self._plan.between(len(events))
        for number, event in enumerate(events[: predicted.stop]):
            self._until(event.time_ms)
            turns = self._turns.see(event)
            if number in predicted:
                asking = [turn for turn in turns if turn.shopper % self._plan.one_in == 0]
                self._asked += [Asked(self._ask(number, event), turn) for turn in asking]
            self._held.happened(number, event)
            if not number % STEP:
                step(number, predicted.stop)
        self._answer()
        return self._ranked()

    def _until(self, now_ms: int) -> None:
        """Bring what is known up to now. Whoever asked before is answered before the shared counts change."""
        since = self._flushed_ms
        flush = since is None or now_ms >= since + self._plan.flush_ms or len(self._asked) >= self._plan.batch
        if flush:
            self._answer()
        self._held.advance(now_ms)
        if flush:
            self._stocked = self._shelf.stock(self._engine, self._stocked, now_ms)
            self._engine.statistics.add(self._held.lessons())
            self._flushed_ms = now_ms

    def _ask(self, number: int, event: AnyEvent) -> Ask:
        user = UserId(event.user_id)
        trigger = Trigger(
            event_id=EventId(event.event_id), topic=CLICKSTREAM.name, partition=0, offset=number, time_ms=event.time_ms
        )
        return Ask(self._held.profiles.get(user) or Profile(user), trigger, self._plan.surface, limit=LIST)

    def _answer(self) -> None:
        """Rank the targets of all who asked, by each model."""
        asked, self._asked = self._asked, []
        if not asked:
            return
        statistics, table = self._engine.statistics, self._engine.table
        wanted = [each.turn.item for each in asked]
        slates = self._engine.recommend([each.ask for each in asked])
        recent = sequence_rows(table, [each.ask.profile for each in asked])
        nows = np.array([each.ask.trigger.time_ms for each in asked], np.int64)
        targets = table.rows(wanted)
        counted, popular = by_counts(statistics, recent, nows, targets), by_trend(statistics, recent, targets)
        self._ranks.append(np.stack([in_slates(slates, wanted), counted, popular]))
        self._degraded += sum(slate.degraded is not None for slate in slates)
        self._answered += [each.turn for each in asked]

    def _ranked(self) -> Ranked:
        shoppers = np.array([turn.shopper for turn in self._answered], np.int64)
        parts = np.array([int(turn.part) for turn in self._answered], np.int64)
        return Ranked(np.concatenate(self._ranks, axis=1), shoppers, parts, self._degraded, self._turns.firsts)
