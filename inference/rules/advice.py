"""What a merchandiser should hear of a rule before it is saved: that it hides everything, or is in conflict."""

from collections.abc import Iterator

from contracts.items import Bools
from contracts.rules import Action, Rule
from inference.rules.book import RuleBook, Ruled
from inference.rules.expression import DAY_MS


def advice(book: RuleBook, ruled: Ruled, now_ms: int, slate_size: int) -> list[str]:
    """Warnings in words, the worst first; none where all is well."""
    rule, matched, day = ruled.rule, ruled.matcher.matched(book.table, now_ms // DAY_MS), now_ms // DAY_MS
    return [
        *_of_matches(rule, matched, book.table.available),
        *_of_failures(ruled, int(ruled.matcher.failed(book.table, day).sum())),
        *_of_time_and_place(rule, now_ms, slate_size),
        *(said for other in book.ordered for said in _of_another(book, rule, matched, other, day)),
    ]


def _of_matches(rule: Rule, matched: Bools, available: Bools) -> Iterator[str]:
    if not matched.any():
        yield "it matches no item of the catalogue"
    elif not (matched & available).any():
        yield "none of the items that it matches is in stock"
    elif matched[available].all():
        hides = rule.action is Action.HIDE
        yield "it hides every item: slates will be empty" if hides else "it matches every item that is in stock"


def _of_failures(ruled: Ruled, fails: int) -> Iterator[str]:
    if fails:
        yield f"it fails for {fails:,} items, which it does not match: {ruled.matcher.expression.why_failed}"


def _of_time_and_place(rule: Rule, now_ms: int, slate_size: int) -> Iterator[str]:
    if rule.ended(now_ms):
        yield "its time is over: it will change nothing"
    elif not rule.begun(now_ms):
        yield "its time has not begun; this is what it would have changed"
    if rule.place is not None and rule.place > slate_size:
        yield f"place {rule.place} is beyond the {slate_size} places of a slate; it shows where more are asked for"


def _of_another(book: RuleBook, rule: Rule, matched: Bools, other: Ruled, day: int) -> Iterator[str]:
    """The precedence of two rules that meet. See ``contracts/rules.py``."""
    if other.rule.rule_id == rule.rule_id or not rule.meets(other.rule):
        return
    shared = int((matched & other.matcher.matched(book.table, day)).sum())
    name, kinds = other.rule.rule_id, (rule.action, other.rule.action)
    if kinds == (Action.PIN, Action.PIN) and rule.place == other.rule.place:
        first, second = sorted((rule.rule_id, name))
        yield f"in conflict with {name} over place {rule.place}: {first} has it, {second} the next one that is free"
    if not shared or rule.action is other.rule.action:
        return
    if Action.HIDE in kinds:
        hider = rule.rule_id if rule.action is Action.HIDE else name
        yield f"in conflict with {name} over {shared:,} items: {hider} hides them, and hiding wins"
    elif Action.PIN not in kinds:
        yield f"in conflict with {name} over {shared:,} items: one boosts, one buries, and both factors count"
