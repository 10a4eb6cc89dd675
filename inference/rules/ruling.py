"""What the rules do with one batch of slates: hide, bring in, weigh, pin, and say so."""

from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Bools, Rows
from contracts.messages import RuleEffect
from contracts.rules import Action, Rule
from contracts.statistics import Statistics
from inference.merge import Merged
from inference.rules.book import RuleBook, Ruled
from inference.rules.expression import DAY_MS

BROUGHT = -1  # the source of what a pin alone brought in
SOURCE = "rules"
PROPOSED, ALL_PROPOSED = 8, 40  # most items that one pin brings in, those that trend most; all pins, beyond one each
LEAST, MOST = 1e-6, 1e6  # of a product of factors

Values = NDArray[np.float64]
WORDS = {Action.BOOST: "raised", Action.BURY: "lowered", Action.PIN: "placed here"}


class Live(NamedTuple):
    """A rule and where it is in force: [B]."""

    ruled: Ruled
    where: Bools

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.ruled.rule


class Ruling:
    """The rules in force for asks at ``nows_ms`` [B] on ``surfaces``. Columns are those of the candidates [B, N]."""

    def __init__(self, book: RuleBook, nows_ms: NDArray[np.int64], surfaces: Sequence[str]) -> None:
        self._table = book.table
        self._days = nows_ms // DAY_MS
        live = [Live(each, _where(each.rule, nows_ms.tolist(), surfaces)) for each in book.ordered]
        self._live = [each for each in live if each.where.any()]
        self._hidden: list[Counter[str]] = [Counter() for _ in surfaces]
        self._pinned: dict[tuple[int, int], Rule] = {}
        self._brought = np.zeros(0, np.int64)

    def __bool__(self) -> bool:
        return bool(self._live)

    def keep(self, rows: Rows) -> Bools:
        """[B, N]: False where an item is hidden."""
        kept = np.ones(rows.shape, bool)
        for each in self._of(Action.HIDE):
            hit = self._hits(each, rows) & kept
            kept &= ~hit
            for shopper in np.flatnonzero(hit.any(axis=1)).tolist():
                self._hidden[shopper][each.rule.rule_id] += int(hit[shopper].sum())
        return kept

    def bring(self, merged: Merged, statistics: Statistics) -> Merged:
        """The candidates with what pins mean before them, so that it is filtered and scored whatever was proposed."""
        pins = self._of(Action.PIN)
        if not pins:
            return merged
        rows = np.concatenate([self._proposed(pin, statistics, self._each(len(pins))) for pin in pins], axis=1)
        same = (merged.rows[:, None, :] == rows[:, :, None]) & (rows >= 0)[:, :, None]
        theirs = np.take_along_axis(merged.sources, same.argmax(axis=2), axis=1)
        sources = np.where(same.any(axis=2), theirs, np.int8(BROUGHT))
        self._brought = np.unique(self._table.keys(np.where(sources == BROUGHT, rows, NO_ROW)))
        return Merged(rows, sources).before(merged)

    @property
    def turns(self) -> int:
        """How many columns ``bring`` put before the others."""
        pins = len(self._of(Action.PIN))
        return pins * self._each(pins)

    def weigh(self, rows: Rows, values: Values) -> Values:
        """[B, N]: values above 0 times the factors of the rules that mean the item; the others as they are."""
        factors = np.ones(rows.shape)
        for each in self._weights:
            factors[self._hits(each, rows)] *= each.rule.factor or 1.0
        return np.where(values > 0.0, values * np.clip(factors, LEAST, MOST), values)

    def offered(self, rows: Rows, values: Values) -> Values:
        """[B, N]: -inf for what a pin brought in: it may stand at its place and nowhere else."""
        if not len(self._brought):
            return values
        return np.where(np.isin(self._table.keys(rows), self._brought), -np.inf, values)

    def pins(self, rows: Rows, values: Values) -> list[dict[int, int]]:
        """[B]: which column stands at which place, from 1. Each pin has its best item, at its place or at the next one
        that no pin before it has taken; pins stand in the order of their places, then of their ids."""
        pins = sorted(self._of(Action.PIN), key=lambda each: (each.rule.place or 0, each.rule.rule_id))
        fits = [np.where(self._hits(pin, rows) & np.isfinite(values), values, -np.inf) for pin in pins]
        found: list[dict[int, int]] = [{} for _ in rows]
        for shopper, places in enumerate(found):
            for pin, worth in zip(pins, fits, strict=True):
                left = worth[shopper]
                left[list(places.values())] = -np.inf
                if np.isfinite(left.max()):
                    place = _free(pin.rule.place or 1, places)
                    places[place] = int(left.argmax())
                    self._pinned[shopper, places[place]] = pin.rule
        return found

    def touching(self, shopper: int, column: int, row: int) -> list[Rule]:
        """The rules that did something with an item of a slate."""
        pin = self._pinned.get((shopper, column))
        found = [each.rule for each in self._weights if each.where[shopper] and self._mask(each, shopper)[row]]
        return [pin, *found] if pin else found

    def effects(self, shopper: int, touched: Sequence[Sequence[str]]) -> tuple[RuleEffect, ...]:
        """What the rules did to a slate: candidates hidden, and items of the slate, whose rules ``touched`` has."""
        counts = self._hidden[shopper] + Counter(rule_id for rules in touched for rule_id in rules)
        return tuple(
            RuleEffect(rule_id=each.rule.rule_id, action=each.rule.action, items=counts[each.rule.rule_id])
            for each in self._live
            if counts[each.rule.rule_id]
        )

    def _of(self, action: Action) -> list[Live]:
        return [each for each in self._live if each.rule.action is action]

    @property
    def _weights(self) -> list[Live]:
        return [each for each in self._live if each.rule.factor is not None]

    def _hits(self, each: Live, rows: Rows) -> Bools:
        hit = np.zeros(rows.shape, bool)
        for day in np.unique(self._days[each.where]).tolist():
            some = each.where & (self._days == day)
            hit[some] = each.ruled.matcher.matched(self._table, day)[rows[some]] & (rows[some] >= 0)
        return hit

    def _mask(self, each: Live, shopper: int) -> Bools:
        return each.ruled.matcher.matched(self._table, int(self._days[shopper]))

    @staticmethod
    def _each(pins: int) -> int:
        return max(1, min(PROPOSED, ALL_PROPOSED // max(1, pins)))

    def _proposed(self, pin: Live, statistics: Statistics, most: int) -> Rows:
        """[B, most]: what the rule means and can be bought, most trending first; -1 where it is not in force."""
        rows = np.full((len(self._days), most), NO_ROW, np.int32)
        trend = statistics.trending()
        for day in np.unique(self._days[pin.where]).tolist():
            found = np.flatnonzero(pin.ruled.matcher.matched(self._table, day) & self._table.available)
            best = found[np.lexsort((found, -trend[found]))][:most]
            rows[np.ix_(pin.where & (self._days == day), np.arange(len(best)))] = best
        return rows


def _free(place: int, taken: Container[int]) -> int:
    while place in taken:
        place += 1
    return place


def _where(rule: Rule, nows_ms: Sequence[int], surfaces: Sequence[str]) -> Bools:
    return np.array([rule.in_time(now) and rule.on(at) for now, at in zip(nows_ms, surfaces, strict=True)], bool)


def in_words(reason: str, rules: Sequence[Rule]) -> str:
    """An item's reason, and what the shop's rules did with it."""
    said = [f"{WORDS[rule.action]} by the shop's rule {rule.rule_id}" for rule in rules]
    return ", ".join([reason, *said] if reason else said)
