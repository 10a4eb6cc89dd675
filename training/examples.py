"""The log replayed in time order: what was known when something was clicked, put into the cart, or bought.

Profiles are exact up to the event; the shared statistics are as of the last flush, as they are live. The arrays are
made by the very functions that serve. What happened is learned only afterwards, so no example has seen its answer.

Where the log says what was shown, the example stands before that list was shown (that is when a slate is decided, and
"it was shown" must not give the answer away), and the rest of the list are its first negatives.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from contracts.events import AnyEvent, Impression, ItemId, Kind, UserId, items_of, kind_of
from contracts.features import Histories, Integers, candidate_features, gather, histories
from contracts.items import NO_ROW, Floats, ItemTable, Rows
from contracts.profile import Position, Profile, apply
from contracts.statistics import Increments, Statistics, kernel, sequence_rows, strongest_rows

#: Which head learns from which kind of event. A view counts as a click only where the set has no clicks.
HEAD_OF = {Kind.CLICK: 0, Kind.CART_ADD: 1, Kind.PURCHASE: 2}
CLICK_LIKE = (Kind.VIEW, Kind.REVIEW, Kind.PURCHASE)
FLUSH = 256
ENTROPY = 0x9E3779B9
LINES = 3
REMEMBERED = 10
ATTRIBUTED_MS = 3_600_000


class Decision(NamedTuple):
    """When a list was made: who for, as known then, what it showed, after how many flushes of the statistics."""

    before: Profile
    time_ms: int
    shown: tuple[ItemId, ...] = ()
    flushes: int = 0


class Question(NamedTuple):
    """A decision, what turned out to be right, and which head it teaches."""

    decision: Decision
    answer: ItemId
    head: int


class Examples(NamedTuple):
    """A batch: the answer stands in column 0 of ``candidates``. Shapes as in ``contracts/features.py``."""

    history: Histories
    candidates: Rows
    features: Floats
    heads: Integers
    times_ms: Integers


class Replay:
    """Goes through a log once. ``negatives`` a candidate list, drawn from what the live sources would propose."""

    def __init__(self, table: ItemTable, negatives: int, history_limit: int, text_dim: int, seed: int) -> None:
        self.table, self.statistics = table, Statistics(table)
        self.profiles: dict[UserId, Profile] = {}
        self._negatives, self._limit, self._text_dim = negatives, history_limit, text_dim
        self._rng = np.random.default_rng([seed, ENTROPY])
        self._decisions: dict[UserId, deque[Decision]] = {}
        self._flushes = 0
        self.seen = 0  # events so far

    def run(self, events: Sequence[AnyEvent]) -> Iterator[Examples]:
        """Examples in batches of about ``FLUSH`` events, in time order."""
        increments = Increments(self.statistics.decay)
        heads = heads_of(events)
        asked: list[Question] = []
        for number, event in enumerate(events):
            self.seen = number + 1
            user = UserId(event.user_id)
            before = self.profiles.get(user)
            if before is not None:
                asked += self._questions(before, event, heads)
            if isinstance(event, Impression):
                decision = Decision(before or Profile(user), event.time_ms, items_of(event), self._flushes)
                self._decisions.setdefault(user, deque(maxlen=REMEMBERED)).append(decision)
            increments.learn(before, event)
            self.profiles[user] = apply(before, Position("", 0, number), event).profile
            if len(asked) >= FLUSH:
                yield self._examples(asked)
                self.statistics.add(increments)
                self._flushes += 1
                asked, increments = [], Increments(self.statistics.decay)
        if asked:
            yield self._examples(asked)

    def _questions(self, before: Profile, event: AnyEvent, heads: dict[Kind, int]) -> list[Question]:
        head = heads.get(kind_of(event))
        if head is None:
            return []
        return [Question(self._decided(before, event, item, head), item, head) for item in items_of(event)[:LINES]]

    def _decided(self, before: Profile, event: AnyEvent, item: ItemId, head: int) -> Decision:
        """The last list that showed the item, if it is fresh; else the moment of the event itself.

        What follows a click stands there only as long as the click itself is not in the statistics: they would tell.
        """
        for decision in reversed(self._decisions.get(before.user_id, ())):
            fresh = event.time_ms - decision.time_ms < ATTRIBUTED_MS
            if fresh and item in decision.shown and (head == 0 or decision.flushes == self._flushes):
                return decision
        return Decision(before, event.time_ms)

    def _examples(self, asked: Sequence[Question]) -> Examples:
        profiles = [question.decision.before for question in asked]
        nows = np.array([question.decision.time_ms for question in asked], np.int64)
        answers = self.table.rows([question.answer for question in asked])
        candidates = self._candidates(profiles, nows, answers, self._shown(asked))
        return Examples(
            histories(self.table, profiles, nows, self._limit),
            candidates,
            candidate_features(self.table, self.statistics, profiles, nows, candidates),
            np.array([question.head for question in asked], np.int64),
            nows,
        )

    def _shown(self, asked: Sequence[Question]) -> Rows:
        """[B, negatives / 4]: the rest of the lists, -1 where nothing is known."""
        rows = np.full((len(asked), self._negatives // 4), NO_ROW, np.int32)
        for b, question in enumerate(asked):
            found = self.table.rows(question.decision.shown[: rows.shape[1]])
            rows[b, : len(found)] = found
        return rows

    def _candidates(self, profiles: Sequence[Profile], nows: Integers, answers: Rows, shown: Rows) -> Rows:
        """[B, 1 + negatives]: the answer, what was shown beside it, items of the sources; each answer once."""
        recent = sequence_rows(self.table, profiles)
        drawn = np.concatenate([
            self._followers(recent, nows), self._similar(recent), self._trending(len(profiles)),
            self._rng.integers(0, len(self.table), (len(profiles), self._negatives), dtype=np.int32),
        ], axis=1)  # fmt: skip
        drawn = np.concatenate([shown, drawn], axis=1)
        keys = self._rng.random(drawn.shape)
        keys[:, : shown.shape[1]] -= 1.0
        keys[(drawn == NO_ROW) | (drawn == answers[:, None])] = 2.0
        order = np.argsort(keys, axis=1)[:, : self._negatives]
        chosen = np.take_along_axis(drawn, order, axis=1)
        chosen[np.take_along_axis(keys, order, axis=1) >= 2.0] = NO_ROW
        return np.concatenate([answers[:, None], chosen], axis=1).astype(np.int32)

    def _followers(self, recent: Rows, nows: Integers) -> Rows:
        keys, scores = self.statistics.followers(recent, kernel(recent.shape[1]), nows)
        return strongest_rows(keys, scores, len(recent), len(self.table), self._negatives // 2)

    def _similar(self, recent: Rows) -> Rows:
        text = self.table.vectors[:, : self._text_dim]
        taste = np.einsum("blt,l->bt", gather(text, recent), kernel(recent.shape[1]).astype(np.float32))
        size = min(self._negatives // 2, len(self.table))
        return np.argpartition(-(taste @ text.T), size - 1, axis=1)[:, :size].astype(np.int32)

    def _trending(self, shoppers: int) -> Rows:
        size = min(self._negatives // 4, len(self.table))
        best = np.argpartition(-self.statistics.trending(), max(0, size - 1))[:size].astype(np.int32)
        return np.tile(best, (shoppers, 1))


def heads_of(events: Sequence[AnyEvent]) -> dict[Kind, int]:
    """Which kinds teach which head in this log: without clicks, the most plentiful other signal stands for them."""
    kinds = {kind_of(event) for event in events}
    heads = {kind: head for kind, head in HEAD_OF.items() if kind in kinds}
    if Kind.CLICK not in kinds:
        stands_in = next((kind for kind in CLICK_LIKE if kind in kinds), None)
        if stands_in is not None:
            heads[stands_in] = 0
    return heads
