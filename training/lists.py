"""A decision and what turned out to be right -> one example: what the live sources would propose, with features.

The arrays are made by the very functions that serve.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from contracts.events import ItemId
from contracts.features import Histories, Integers, candidate_features, gather, histories
from contracts.items import NO_ROW, Bools, Floats, ItemTable, Rows, first_seen
from contracts.postings import ANCHORS, Postings
from contracts.profile import Profile
from contracts.statistics import Statistics, kernel, sequence_rows, strongest_rows
from training.memory import CELLS

ENTROPY = 0x9E3779B9
NO_HEAD = -1
Asked = TypeVar("Asked", Rows, Floats)
DEPTH = 100  # of the sources that find most: as deep as the engine asks them


class Decision(NamedTuple):
    """When a list was made: who for, as known then, what it showed, after how many flushes of the statistics."""

    before: Profile
    time_ms: int
    shown: tuple[ItemId, ...] = ()
    flushes: int = 0


class Question(NamedTuple):
    """A decision, what turned out to be right, and which head of the order it teaches, ``NO_HEAD`` for none.

    ``rating``: the share of the stars it got; ``return_visit``: 1 where the shopper visited again, else 0; NaN where
    that is not known.
    """

    decision: Decision
    answer: ItemId
    head: int
    rating: float = math.nan
    return_visit: float = math.nan


class Examples(NamedTuple):
    """A batch: the answer stands in column 0 of ``candidates``. Shapes as in ``contracts/features.py``.

    ``proposed`` [B]: some source would have proposed the answer, or it was shown; else no ranker could find it.
    ``choice_set`` [B, 1 + negatives]: what the shopper could choose from: the answer and what was shown beside it, or
    all candidates where nothing is known of that. What was not shown was not refused: a model set against it learns
    what the shop used to show.

    ``outcomes`` [B, outcome heads]: what came of the answer, in 0..1, NaN where that is not known.
    """

    history: Histories
    candidates: Rows
    features: Floats
    heads: Integers
    times_ms: Integers
    proposed: Bools
    choice_set: Bools
    outcomes: Floats


class Lists:
    """Makes examples from the catalogue and the statistics as they are now."""

    def __init__(self, table: ItemTable, negatives: int, history_limit: int, text_dim: int, seed: int) -> None:
        self.table, self.statistics = table, Statistics(table)
        self._postings = Postings(table)
        self._negatives, self._limit, self._text_dim = negatives, history_limit, text_dim
        self._rng = np.random.default_rng([seed, ENTROPY])

    def examples(self, asked: Sequence[Question]) -> Examples:
        """[B]: each question with a list of ``1 + negatives`` candidates."""
        profiles = [question.decision.before for question in asked]
        nows = np.array([question.decision.time_ms for question in asked], np.int64)
        answers = self.table.rows([question.answer for question in asked])
        heads = np.array([question.head for question in asked], np.int64)
        candidates, proposed, shown = self._candidates(profiles, nows, answers, self._shown(asked))
        return Examples(
            histories(self.table, profiles, nows, self._limit),
            candidates,
            candidate_features(self.table, self.statistics, profiles, nows, candidates),
            heads,
            nows,
            (proposed | np.array([question.answer in question.decision.shown for question in asked]))
            & (heads != NO_HEAD),
            _choice_set(candidates, shown),
            np.array([(question.rating, question.return_visit) for question in asked], np.float32),
        )

    def _shown(self, asked: Sequence[Question]) -> Rows:
        """[B, negatives / 4]: the rest of the lists, -1 where nothing is known."""
        rows = np.full((len(asked), self._negatives // 4), NO_ROW, np.int32)
        for b, question in enumerate(asked):
            found = self.table.rows(question.decision.shown[: rows.shape[1]])
            rows[b, : len(found)] = found
        return rows

    def _candidates(
        self, profiles: Sequence[Profile], nows: Integers, answers: Rows, shown: Rows
    ) -> tuple[Rows, Bools, Integers]:
        """[B, 1 + negatives]: the answer, what was shown beside it, items of the sources; whether one of those proposed
        the answer; and how many were shown.

        Each item stands once in its list.
        """
        recent = sequence_rows(self.table, profiles)
        sources = np.concatenate(
            [
                recent, self._followers(recent, nows), self._preceders(recent, nows), self._alike(recent),
                self._similar(recent), self._trending(len(profiles)),
            ],
            axis=1,
        )  # fmt: skip
        any_item = self._rng.integers(0, len(self.table), (len(profiles), self._negatives // 4), dtype=np.int32)
        drawn = np.concatenate([shown, sources, any_item], axis=1)
        keys = self._rng.random(drawn.shape)
        keys[:, : shown.shape[1]] -= 1.0
        keys[(drawn == NO_ROW) | (drawn == answers[:, None]) | ~first_seen(drawn)] = 2.0
        order = np.argsort(keys, axis=1)[:, : self._negatives]
        chosen = np.take_along_axis(drawn, order, axis=1)
        chosen[np.take_along_axis(keys, order, axis=1) >= 2.0] = NO_ROW
        candidates = np.concatenate([answers[:, None], chosen], axis=1).astype(np.int32)
        return candidates, (sources == answers[:, None]).any(axis=1), (keys < 0.0).sum(axis=1)

    def _followers(self, recent: Rows, nows: Integers) -> Rows:
        keys, scores = self.statistics.followers(recent, kernel(recent.shape[1]), nows)
        return strongest_rows(keys, scores, len(recent), len(self.table), DEPTH)

    def _preceders(self, recent: Rows, nows: Integers) -> Rows:
        keys, scores = self.statistics.preceders(recent, kernel(recent.shape[1]), nows)
        return strongest_rows(keys, scores, len(recent), len(self.table), DEPTH)

    def _alike(self, recent: Rows) -> Rows:
        weights = kernel(ANCHORS).astype(np.float32)
        return self._best(recent[:, :ANCHORS], lambda some: self._postings.scores(some, weights), DEPTH)

    def _similar(self, recent: Rows) -> Rows:
        text = self.table.vectors[:, : self._text_dim]
        taste = np.einsum("blt,l->bt", gather(text, recent), kernel(recent.shape[1]).astype(np.float32))
        return self._best(taste, lambda some: some @ text.T, self._negatives // 4)

    def _best(self, asked: Asked, scores: Callable[[Asked], Floats], count: int) -> Rows:
        """The best items of each row of ``asked``, so few rows at once that memory does not grow with the catalogue."""
        size = max(1, CELLS // max(1, len(self.table)))
        parts = (asked[at : at + size] for at in range(0, len(asked), size))
        return np.concatenate([self._highest(scores(part), count) for part in parts])

    def _highest(self, scores: Floats, count: int) -> Rows:
        """The best items of ``scores`` [B, rows]; -1 for those that have nothing in common with the shopper."""
        size = min(count, len(self.table))
        rows = np.argpartition(-scores, size - 1, axis=1)[:, :size].astype(np.int32)
        return np.where(np.take_along_axis(scores, rows, axis=1) > 0.0, rows, np.int32(NO_ROW))

    def _trending(self, shoppers: int) -> Rows:
        size = min(self._negatives // 4, len(self.table))
        best = np.argpartition(-self.statistics.trending(), max(0, size - 1))[:size].astype(np.int32)
        return np.tile(best, (shoppers, 1))


def _choice_set(candidates: Rows, shown: Integers) -> Bools:
    """``shown`` [B]: so many after the answer were shown; 0 where nothing is known of that."""
    place, known = np.arange(candidates.shape[1])[None, :], shown[:, None]
    return np.asarray((candidates != NO_ROW) & ((known == 0) | (place <= known)))
