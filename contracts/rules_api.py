"""What the HTTP API takes and gives of the merchandiser's rules. A rule itself is in ``contracts/rules.py``."""

from typing import Literal

from msgspec import Struct

from contracts.events import ItemId, UserId
from contracts.rules import Rule


class RuleState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule as it stands. ``matches``: items of the catalogue that it means now; ``fails``: items that it fails for,
    which it does not mean, and ``why_failed`` for the last of them."""

    rule: Rule
    state: Literal["live", "waiting", "ended"]
    matches: int
    fails: int = 0
    why_failed: str = ""


class RefusedRule(Struct, frozen=True, kw_only=True):
    """A record of the rules' topic that is no rule: nothing is in force under its id."""

    rule_id: str
    why: str


class RuleList(Struct, frozen=True, kw_only=True):
    """Every rule, in the order of the ids."""

    rules: tuple[RuleState, ...]
    refused: tuple[RefusedRule, ...]


class RuleSaved(Struct, frozen=True, kw_only=True):
    """It is in the log, and in force (or not any more) within two seconds."""

    rule_id: str
    saved: bool


class Shown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place of a slate, and the rules that did something with it."""

    item_id: ItemId
    title: str = ""
    rules: tuple[str, ...] = ()


class Example(Struct, frozen=True, kw_only=True):
    """One slate that a rule would change."""

    user_id: UserId
    surface: str
    time_ms: int
    before: tuple[Shown, ...]
    after: tuple[Shown, ...]


class DryRun(Struct, frozen=True, kw_only=True):
    """What a rule would change on the last slates, if it had been in force when they were asked for.

    Each is made twice, with the rules as they are and with this one too, of the same profile, catalogue and statistics.
    ``exact``: how many of the ``slates`` had the profile of that moment; the others the shopper's profile as it is now.
    ``emptied``: slates that would have no items any more. ``moved_*``: items, over all slates. ``matches``, ``fails``:
    as in ``RuleState``.
    """

    slates: int
    exact: int
    changed: int
    emptied: int
    moved_in: int
    moved_out: int
    moved_up: int
    moved_down: int
    matches: int
    fails: int
    warnings: tuple[str, ...]
    examples: tuple[Example, ...]
