"""The file of surfaces: TOML in, ``Surfaces`` out, and every problem of it at once, with its place and the way out."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from contracts.errors import SettingsRefused
from contracts.surfaces import (
    DRAWING,
    FILTERS,
    HOME,
    NEEDED,
    SCORERS,
    SELECTORS,
    SOURCES,
    ModelStage,
    Stage,
    Surface,
    Surfaces,
)

SHIPPED = Path(__file__).with_name("surfaces.toml")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
TOLD = 3  # problems that an error at start names
MOST = 64  # names are labels of metrics
LIKE = "like"
PLAIN = ("description", "page", "limit")
KINDS = {key: kind for key, kind in get_type_hints(Surface, include_extras=True).items() if key in PLAIN}
KEYS = (LIKE, *PLAIN, "sources", "filters", "scorer", "selectors")

Raw = Mapping[str, Any]  # TOML as it was read; it goes no further than this file
S = TypeVar("S", bound=Stage)


def load_surfaces(path: Path | None = None) -> Surfaces:
    """The surfaces of a file; None: the shipped ones. Raises: SettingsRefused, naming the first problems."""
    found, problems = read_surfaces(path or SHIPPED)
    if found is None:
        more = len(problems) - TOLD
        rest = f"; and {more} more (`daogou surfaces check {path}`)" if more > 0 else ""
        raise SettingsRefused(f"surfaces (DAOGOU_SURFACES): {path}: {'; '.join(problems[:TOLD])}{rest}")
    return found


def read_surfaces(path: Path) -> tuple[Surfaces | None, tuple[str, ...]]:
    """The surfaces, or None and every problem."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return None, (f"it cannot be read: {error}",)
    except tomllib.TOMLDecodeError as error:
        return None, (f"it is not TOML: {error}",)
    reading = _Reading(raw)
    found = reading.surfaces()
    return (None, tuple(reading.problems)) if reading.problems else (Surfaces(found, str(path)), ())


class _Reading:
    """One file on its way: what is wrong with it is collected, so that it is all told at once."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self.problems: list[str] = []
        self._where = ""

    def surfaces(self) -> dict[str, Surface]:
        if HOME not in self._raw:
            self.problems.append(f"there is no surface {HOME!r}, by which the stream's slates are made")
        if len(self._raw) > MOST:
            self.problems.append(f"{len(self._raw)} surfaces; at most {MOST}")
            return {}
        found = {}
        for name in self._raw:
            self._where = f"surface {name}"
            if self._named_rightly(name) and (surface := self._surface(name)) is not None:
                found[name] = surface
        return found

    def _wrong(self, what: str) -> None:
        self.problems.append(f"{self._where}: {what}")

    def _named_rightly(self, name: str) -> bool:
        if not isinstance(self._raw[name], dict):
            self._wrong(f"there is a value; every surface is a table, [{name}]")
        elif not NAME.fullmatch(name):
            self._wrong("a name has small letters, digits, - and _, begins with a letter and has at most 64")
        else:
            return True
        return False

    def _surface(self, name: str) -> Surface | None:
        before, table = len(self.problems), self._with_likes(name)
        for key in table:
            if key not in KEYS:
                self._wrong(f"there is no key {key!r}{_meant(key, KEYS)}")
        plain = {key: self._converted(key, table[key], KINDS[key]) for key in PLAIN if key in table}
        sources, filters = self._list(table, "sources", SOURCES), self._list(table, "filters", FILTERS)
        selectors = self._list(table, "selectors", SELECTORS)
        scorer = self._stage("scorer", table["scorer"], SCORERS) if "scorer" in table else ModelStage()
        if len(self.problems) > before or scorer is None:
            return None
        return self._possible(Surface(
            name=name, sources=sources, filters=filters, scorer=scorer, selectors=selectors, **plain))  # fmt: skip

    def _with_likes(self, name: str) -> Raw:
        """A surface's keys, and under them those of the one above it that it is like."""
        table: Raw = self._raw[name]
        names = list(self._raw)
        if LIKE not in table:
            return table
        above = [each for each in names[: names.index(name)] if isinstance(self._raw[each], dict)]
        if table[LIKE] not in above:
            self._wrong(f"like = {table[LIKE]!r} names no surface above this one{_meant(table[LIKE], above)}")
            return table
        return {**self._with_likes(table[LIKE]), **table}

    def _list(self, table: Raw, key: str, kinds: tuple[type[S], ...]) -> tuple[S, ...]:
        given = table.get(key)
        if not isinstance(given, list) or not given:
            self._wrong(f"{key} must be a list of at least one; there are {', '.join(_named(kinds))}")
            return ()
        found = [self._stage(f"{key}[{number}]", each, kinds) for number, each in enumerate(given)]
        return tuple(stage for stage in found if stage is not None)

    def _stage(self, place: str, given: object, kinds: tuple[type[S], ...]) -> S | None:
        """A stage by its bare name, or as a table with its settings."""
        table: Raw = {"name": given} if isinstance(given, str) else given if isinstance(given, dict) else {}
        named = _named(kinds)
        name = table.get("name")
        if not isinstance(name, str) or name not in named:
            what = f"there is no stage {name!r}" if name else 'a stage is a name or a table { name = "...", ... }'
            self._wrong(f"{place}: {what}{_meant(name, named)}; there are {', '.join(named)}")
            return None
        kind, place = named[name], f"{place}, {name}"
        settings = kind.__struct_fields__
        strangers = [key for key in table if key not in ("name", *settings)]
        for key in strangers:
            self._wrong(f"{place}: there is no setting {key!r}{_meant(key, settings)}; {_settings(name, settings)}")
        found: S | None = None if strangers else self._converted(place, table, kind)
        return found

    def _converted(self, place: str, given: object, kind: Any) -> Any:
        """``given`` as ``kind`` says it must be; else None, and it is told."""
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            choice = f"; there are {', '.join(get_args(kind))}" if get_origin(kind) is Literal else ""
            self._wrong(": ".join(part for part in (place, where.rstrip("`"), what) if part) + choice)
            return None

    def _possible(self, surface: Surface) -> Surface:
        for what in _impossible(surface):
            self._wrong(what)
        return surface


def _impossible(surface: Surface) -> Iterator[str]:
    """What each key by itself does not say."""
    lists: tuple[tuple[str, tuple[Stage, ...]], ...] = (
        ("sources", surface.sources), ("filters", surface.filters), ("selectors", surface.selectors)
    )  # fmt: skip
    for key, stages in lists:
        names = [stage.name for stage in stages]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{key}: {name} stands there more than once"
    for needed in _named(NEEDED):
        if needed not in {stage.name for stage in surface.filters}:
            yield f"filters: {needed!r} must be one of them"
    drawing = _named(DRAWING)
    for number, selector in enumerate(surface.selectors):
        if (selector.name in drawing) != (number == 0):
            yield f"selectors: the first one draws the slate ({', '.join(drawing)}), the others change a drawn one"
            return
    if surface.name == HOME and surface.page != "any":
        yield f"page = {surface.page!r}: the stream's slates are made without a page; leave it out"


def _named(kinds: Iterable[type[S]]) -> dict[str, type[S]]:
    return {str(kind.__struct_config__.tag): kind for kind in kinds}


def _meant(given: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(given), list(known), n=1) if given else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _settings(name: str, settings: tuple[str, ...]) -> str:
    return f"{name} takes {', '.join(settings)}" if settings else f"{name} takes none"
