"""The log replayed in time order: what was known when something was clicked, put into the cart, or bought.

Profiles are exact up to the event; the shared statistics are as of the last flush, as they are live. What happened is
learned only afterwards, so no example has seen its answer.

Where the log says what was shown, the example stands before that list was shown (that is when a slate is decided, and
"it was shown" must not give the answer away), and the rest of the list are its first negatives.

Of what teaches, one batch in ``COLD`` is asked as if nobody had been counted yet: a shop begins so, and what a model
makes of words alone has to be learned somewhere.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from contracts.events import AnyEvent, Impression, ItemId, Kind, UserId, items_of, kind_of
from contracts.items import Floats
from contracts.profile import Outcome, Position, Profile, apply
from contracts.statistics import Increments, Statistics
from training.lists import NO_HEAD, Decision, Examples, Lists, Question
from training.outcomes import rating_of
from training.stored_events import kinds_of

#: Which head learns from which kind of event. A view counts as a click only where the set has no clicks.
HEAD_OF = {Kind.CLICK: 0, Kind.CART_ADD: 1, Kind.PURCHASE: 2}
CLICK_LIKE = (Kind.VIEW, Kind.REVIEW, Kind.PURCHASE, Kind.CART_ADD, Kind.WISHLIST)
NOTHING = (
    "the log has nothing to learn from: it needs shoppers who come back, with a click (else a view, review, purchase, "
    "cart addition or wish) that is not the first thing they did"
)
FLUSH = 256
COLD = 10
LINES = 3
REMEMBERED = 10
ATTRIBUTED_MS = 3_600_000


class Replay:
    """Goes through a log once, in the order of time. Lists are made by ``lists``, which learns as it goes.

    ``heads``: which kinds of events teach which head. ``return_visits`` [events]: see ``training/outcomes.py``.
    """

    def __init__(self, lists: Lists, heads: dict[Kind, int], return_visits: Floats | None = None) -> None:
        self._lists, self._heads, self._return_visits = lists, heads, return_visits
        self.profiles: dict[UserId, Profile] = {}
        self._decisions: dict[UserId, deque[Decision]] = {}
        self._flushes = 0
        self.seen = 0  # events so far

    def run(self, events: Sequence[AnyEvent], cold: int = 0) -> Iterator[Examples]:
        """Examples in batches of about ``FLUSH`` events, in time order. Called again it goes on with later events.

        ``cold``: one batch in so many is asked of statistics that know nothing; 0: none.
        """
        statistics = self._lists.statistics
        increments = Increments(statistics.decay)
        asked: list[Question] = []
        for event in events:
            self.seen += 1
            user = UserId(event.user_id)
            before = self.profiles.get(user)
            after, outcome = apply(before, Position("", 0, self.seen), event)
            if outcome is not Outcome.APPLIED:
                continue  # a producer's repeat: the live loop learns nothing from it either
            if before is not None:
                asked += self._questions(before, event)
            if isinstance(event, Impression):
                decision = Decision(before or Profile(user), event.time_ms, items_of(event), self._flushes)
                self._decisions.setdefault(user, deque(maxlen=REMEMBERED)).append(decision)
            increments.learn(before, event)
            self.profiles[user] = after
            if len(asked) >= FLUSH:
                yield self._examples(asked, cold)
                self._learn(increments)
                asked, increments = [], Increments(statistics.decay)
        if asked:
            yield self._examples(asked, cold)
        self._learn(increments)

    def _examples(self, asked: Sequence[Question], cold: int) -> Examples:
        if not cold or self._flushes % cold < cold - 1:
            return self._lists.examples(asked)
        known = self._lists.statistics
        self._lists.statistics = Statistics(known.table, known.decay)
        try:
            return self._lists.examples(asked)
        finally:
            self._lists.statistics = known

    def _learn(self, increments: Increments) -> None:
        self._lists.statistics.add(increments)
        self._flushes += 1

    def _questions(self, before: Profile, event: AnyEvent) -> list[Question]:
        head, rating = self._heads.get(kind_of(event), NO_HEAD), rating_of(event)
        if head == NO_HEAD and math.isnan(rating):
            return []
        again = math.nan if self._return_visits is None else float(self._return_visits[self.seen - 1])
        return [
            Question(self._decided(before, event, item, head), item, head, rating, again)
            for item in items_of(event)[:LINES]
        ]

    def _decided(self, before: Profile, event: AnyEvent, item: ItemId, head: int) -> Decision:
        """The last list that showed the item, if it is fresh; else the moment of the event itself.

        What follows a click stands there only as long as the click itself is not in the statistics: they would tell.
        """
        for decision in reversed(self._decisions.get(before.user_id, ())) if head != NO_HEAD else ():
            fresh = event.time_ms - decision.time_ms < ATTRIBUTED_MS
            if fresh and item in decision.shown and (head == 0 or decision.flushes == self._flushes):
                return decision
        return Decision(before, event.time_ms)


def heads_of(events: Sequence[AnyEvent]) -> dict[Kind, int]:
    """Which kinds teach which head in this log: without clicks, the most plentiful other signal stands for them."""
    kinds = set(np.unique(kinds_of(events)).tolist())
    heads = {kind: head for kind, head in HEAD_OF.items() if kind in kinds}
    if Kind.CLICK not in kinds:
        stands_in = next((kind for kind in CLICK_LIKE if kind in kinds), None)
        if stands_in is not None:
            heads[stands_in] = 0
    return heads


def teaches(events: Sequence[AnyEvent]) -> bool:
    """Whether some shopper did something that a head learns from, after something else."""
    heads, known = heads_of(events), set[str]()
    for event in events:
        if event.user_id in known and kind_of(event) in heads:
            return True
        known.add(event.user_id)
    return False
