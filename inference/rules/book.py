"""The shop's rules as an engine knows them: in force, waiting, or refused and why."""

from collections.abc import Iterable
from typing import NamedTuple

from contracts.errors import Reason, Unacceptable
from contracts.items import ItemTable
from contracts.rules import MOST_RULES, Rule, check
from inference.rules.expression import DAY_MS, Language
from inference.rules.matcher import Matcher


class Ruled(NamedTuple):
    """A rule and what it matches."""

    rule: Rule
    matcher: Matcher


class RuleBook:
    """Rules over one table, in the order of their ids. One thread at a time."""

    def __init__(self, table: ItemTable, rules: Iterable[Ruled] = ()) -> None:
        self.table = table
        self._ruled = {each.rule.rule_id: each for each in rules}
        self._changed_ms = 0
        self._language: Language | None = None
        self.refused: dict[str, str] = {}
        self.ordered = self._in_order()

    def __len__(self) -> int:
        return len(self._ruled)

    def __contains__(self, rule_id: str) -> bool:
        return rule_id in self._ruled

    def get(self, rule_id: str) -> Ruled | None:
        """A rule that is not refused."""
        return self._ruled.get(rule_id)

    def compile(self, rule: Rule) -> Ruled:
        """A rule made ready, not put into the book. Raises: Unacceptable, saying what is wrong and where."""
        check(rule)
        self._language = self._language or Language()  # made with the first rule: most tests and tools have none
        return Ruled(rule, Matcher(self._language.compile(rule.when)))

    def admit(self, rule: Rule) -> None:
        """Where rules are saved: is it one, and is there room for it? Raises: Unacceptable.

        What is saved already is in force however many there are: workers that read the topic at different times must
        not differ.
        """
        self.compile(rule)
        if rule.rule_id not in self._ruled and len(self) >= MOST_RULES:
            raise Unacceptable(Reason.INVALID_FIELD, f"there are {MOST_RULES} rules already; delete one first")

    def put(self, ruled: Ruled, changed_ms: int = 0) -> None:
        """In force from the next slate on, in its time; it replaces the rule of the same id."""
        self.refused.pop(ruled.rule.rule_id, None)
        self._ruled[ruled.rule.rule_id] = ruled
        self._changed(changed_ms)

    def delete(self, rule_id: str, changed_ms: int = 0) -> None:
        """Take a rule out. Unknown ids are fine."""
        self.refused.pop(rule_id, None)
        if self._ruled.pop(rule_id, None) is not None:
            self._changed(changed_ms)

    def refuse(self, rule_id: str, why: str, changed_ms: int = 0) -> None:
        """The rule of that id, as it is saved, cannot be: nothing is in force under it, and the list says why."""
        self.delete(rule_id, changed_ms)
        self.refused[rule_id] = why
        if len(self.refused) > MOST_RULES:
            del self.refused[next(iter(self.refused))]

    def tried(self, ruled: Ruled) -> "RuleBook":
        """This book as it would be with one more rule, or another of its id; for reading only."""
        others = (each for each in self.ordered if each.rule.rule_id != ruled.rule.rule_id)
        return RuleBook(self.table, (*others, ruled))

    def catch_up(self, ruled: Ruled, now_ms: int, seconds: float) -> bool:
        """Judge the catalogue by a rule that is not in the book yet, for about so long. Returns whether it is done."""
        return ruled.matcher.catch_up(self.table, now_ms // DAY_MS, seconds)

    def turned_ms(self, now_ms: int) -> int:
        """When what is in force last changed: a rule was saved or deleted, or its time began or ended."""
        bounds = (bound for each in self.ordered for bound in (each.rule.valid_from_ms, each.rule.valid_to_ms))
        return max([self._changed_ms, *(bound for bound in bounds if bound is not None and bound <= now_ms)])

    def _changed(self, changed_ms: int) -> None:
        self.ordered = self._in_order()
        self._changed_ms = max(self._changed_ms, changed_ms)

    def _in_order(self) -> tuple[Ruled, ...]:
        return tuple(self._ruled[rule_id] for rule_id in sorted(self._ruled))
