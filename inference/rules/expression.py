"""A rule's expression: CEL, compiled once, true or false for an item.

CEL (Common Expression Language) ends by construction: it has no loops but those over lists, and a budget for these.
"""

import math
import re
from collections.abc import Callable, Hashable
from typing import NamedTuple

from cel_expr_python import cel

from contracts.errors import Reason, Unacceptable
from contracts.messages import CatalogueItem
from contracts.rules import check_loops

DAY_MS = 86_400_000
UNKNOWN = math.nan  # of a number that the shop does not say: it is neither above nor below anything
LONGEST = 300  # characters of what is said of an error
MOST_KEPT = 50_000  # answers of one expression, by the fields that it reads
_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)")
_NUMBERS = re.compile(
    r"found no matching overload for '(?:_[<>=!]=?_|@in)' applied to '\((?:double, int|int, double)\)'"
)


class Field(NamedTuple):
    """A name that expressions may use: its kind in words, and its value of an item on a day (days since 1970)."""

    kind: str
    value: Callable[[CatalogueItem, int], Hashable]


def _age_days(item: CatalogueItem, day: int) -> float:
    return UNKNOWN if item.added_ms is None else float(max(0, day - item.added_ms // DAY_MS))


FIELDS = {
    "item_id": Field("text", lambda item, _: item.item_id),
    "title": Field("text", lambda item, _: item.title),
    "description": Field("text", lambda item, _: item.description),
    "category": Field("list of texts", lambda item, _: item.category),
    "brand": Field("text", lambda item, _: item.brand),
    "group": Field("text", lambda item, _: item.group or ""),
    "attributes": Field("list of texts", lambda item, _: item.attributes),
    "price": Field("number", lambda item, _: UNKNOWN if item.price is None else item.price),
    "stock": Field("number", lambda item, _: UNKNOWN if item.stock is None else float(item.stock)),
    "age_days": Field("number", _age_days),
    "available": Field("true or false", lambda item, _: item.available),
}
_KINDS = {"text": cel.Type.STRING, "list of texts": cel.Type.List(cel.Type.STRING), "true or false": cel.Type.BOOL}


class Language:
    """Compiles expressions. Two environments: in the lax one a number may be compared with ``50`` as with ``50.0``."""

    def __init__(self) -> None:
        self._strict, self._lax = _environment(cel.Type.DOUBLE), _environment(cel.Type.DYN)

    def compile(self, when: str) -> "Expression":
        """Raises: Unacceptable, naming each place that is wrong and the fields that there are."""
        check_loops(when)
        try:
            compiled = self._compiled(when)
        except (RuntimeError, TypeError, ValueError) as error:
            raise _refusal(str(error)) from error
        if compiled.return_type() != cel.Type.BOOL:
            kind = compiled.return_type().name().lower()
            raise _wrong(f"it gives a {kind}; it must be true or false")
        return Expression(when, compiled)

    def _compiled(self, when: str) -> cel.Expression:
        try:
            return self._strict.compile(when)
        except RuntimeError as error:
            said = _ERROR.findall(str(error))
            if not said or not all(_NUMBERS.match(message) for _, _, message in said):
                raise
        return self._lax.compile(when)


def _environment(number: cel.Type) -> cel.Env:
    return cel.NewEnv(variables={name: _KINDS.get(field.kind, number) for name, field in FIELDS.items()})


def _refusal(said: str) -> Unacceptable:
    found = _ERROR.findall(said)
    worse = [each for each in found if not _NUMBERS.match(each[2])] or found
    places = [f"line {line}, column {column}: {_clear(message)}" for line, column, message in worse[:3]]
    fields = ", ".join(f"{name} ({field.kind})" for name, field in FIELDS.items())
    return _wrong(f"{'; '.join(places) or said.partition(chr(10))[0][:LONGEST]}. The fields are {fields}")


def _clear(message: str) -> str:
    """What the compiler says, in a length and in words that help."""
    message = message.replace(" (in container '')", "").partition(" expecting {")[0]
    if "double, int" in message or "int, double" in message:
        message += "; write whole numbers in arithmetic with a point: 2.0"
    return message[:LONGEST]


def _wrong(message: str) -> Unacceptable:
    return Unacceptable(Reason.INVALID_FIELD, f"when: {message}")


class Expression:
    """One compiled expression. Made by ``Language``; for one thread at a time."""

    def __init__(self, when: str, compiled: cel.Expression) -> None:
        self._compiled = compiled
        self._reads = [name for name in FIELDS if re.search(rf"\b{name}\b", when)]
        self._values = [FIELDS[name].value for name in self._reads]
        self._known: dict[tuple[Hashable, ...], bool | None] = {}
        self.by_day = "age_days" in self._reads
        self.why_failed = ""

    def matches(self, item: CatalogueItem, day: int) -> bool | None:
        """Whether it is true of an item on a day. Items that agree in the fields that it reads are judged once.

        None where it fails (``why_failed``), as ``category[0]`` does for an item without a category.
        """
        key = tuple([value(item, day) for value in self._values])
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            found = self._known[key] = self._judged(key)
            return found

    def _judged(self, key: tuple[Hashable, ...]) -> bool | None:
        data = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in zip(self._reads, key, strict=True)
        }
        try:
            found = self._compiled.eval(data=data).value()
        except (RuntimeError, TypeError, ValueError) as error:
            found = str(error)
        if isinstance(found, bool):
            return found
        self.why_failed = str(found)[:LONGEST]
        return None
