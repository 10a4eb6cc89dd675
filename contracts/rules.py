"""What a merchandiser says of items: boost, bury, pin or hide those that a small expression picks out, for a time.

A rule as it goes on its topic::

    {"rule_id": "summer", "action": "boost", "when": "'Dresses' in category && price < 50", "factor": 2.0}

Precedence, whatever the order in which rules were saved: hide, then pin, then boost and bury (their factors multiply).
Among rules of one kind the order is that of their ids.
"""

import re
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

from contracts.errors import Reason, Unacceptable

MOST_RULES = 100  # in force or waiting, of one shop
MOST_CHARACTERS = 2_000  # of an expression
MOST_LOOPS = 8  # of an expression
RULE_LIMIT = 20_000  # bytes of a rule on its topic

#: What goes over a list. One inside another would cost the product of both lists for each item.
LOOP = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(|[()]")
_TEXT = re.compile(r"""\"\"\"(?s:.*?)\"\"\"|'''(?s:.*?)'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""")

RuleId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", description="Letters, digits, . _ -")]
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999, description="Unix milliseconds")]
SurfaceName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}\Z")]


class Action(Enum):
    """What a rule does with the items that it picks out."""

    BOOST = "boost"
    BURY = "bury"
    PIN = "pin"
    HIDE = "hide"


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One rule. ``when``: a CEL expression over an item's fields (``docs/rules.md``), true for those that are meant.

    ``factor``: what an item's value is multiplied by, above 1 to boost, below 1 to bury. ``place``: where the best of
    the items stands, from 1, to pin. ``surfaces``: where it is in force; none named: on all. In force from
    ``valid_from_ms`` until just before ``valid_to_ms``, by the time of the event or request that asks.
    """

    rule_id: RuleId
    action: Action
    when: Annotated[str, Meta(max_length=MOST_CHARACTERS)]
    factor: Annotated[float, Meta(gt=0, le=1_000)] | None = None
    place: Annotated[int, Meta(ge=1, le=100)] | None = None
    surfaces: Annotated[tuple[SurfaceName, ...], Meta(max_length=32)] = ()
    valid_from_ms: Moment | None = None
    valid_to_ms: Moment | None = None
    note: Annotated[str, Meta(max_length=1_000)] = ""

    def in_time(self, now_ms: int) -> bool:
        """Whether it is in force at that moment."""
        return self.begun(now_ms) and not self.ended(now_ms)

    def begun(self, now_ms: int) -> bool:
        """Whether that moment is not before its time."""
        return self.valid_from_ms is None or self.valid_from_ms <= now_ms

    def ended(self, now_ms: int) -> bool:
        """Whether that moment is after its time."""
        return self.valid_to_ms is not None and self.valid_to_ms <= now_ms

    def on(self, surface: str) -> bool:
        """Whether it is in force there."""
        return not self.surfaces or surface in self.surfaces

    def meets(self, other: "Rule") -> bool:
        """Whether both may be in force at one moment on one surface."""
        apart = self.surfaces and other.surfaces and not set(self.surfaces) & set(other.surfaces)
        begin = max(self.valid_from_ms or 0, other.valid_from_ms or 0)
        return not (apart or self.ended(begin) or other.ended(begin))


def check(rule: Rule) -> None:
    """What can be said of a rule without the expression's language.

    Raises: Unacceptable, naming the field and what it may be.
    """
    _check_factor(rule)
    if (rule.place is None) == (rule.action is Action.PIN):
        raise _wrong("place", "a pin needs one, from 1" if rule.place is None else f"a {rule.action.value} has none")
    if rule.valid_to_ms is not None and not rule.begun(rule.valid_to_ms - 1):
        raise _wrong("valid_to_ms", "it must be later than valid_from_ms")
    check_loops(rule.when)


def _check_factor(rule: Rule) -> None:
    wanted = {Action.BOOST: "above 1", Action.BURY: "above 0 and below 1"}.get(rule.action)
    if wanted is None:
        if rule.factor is not None:
            raise _wrong("factor", f"a {rule.action.value} has none")
    elif rule.factor is None or rule.factor == 1.0 or (rule.factor > 1.0) != (rule.action is Action.BOOST):
        raise _wrong("factor", f"a {rule.action.value} needs one {wanted}")


def check_loops(when: str) -> None:
    """Refuse what would cost too much for each item of a catalogue. Raises: Unacceptable."""
    open_, loops = list[bool](), 0
    for match in LOOP.finditer(_TEXT.sub("''", when)):
        if match[0] != ")":
            open_.append(match[0] != "(")
            loops += open_[-1]
        elif open_:
            open_.pop()
        if sum(open_) > 1 or loops > MOST_LOOPS:
            what = "a loop inside a loop" if sum(open_) > 1 else f"more than {MOST_LOOPS} loops"
            raise _wrong("when", f"too costly: {what} (all, exists, exists_one, map, filter)")


def _wrong(field: str, message: str) -> Unacceptable:
    return Unacceptable(Reason.INVALID_FIELD, f"{field}: {message}")
