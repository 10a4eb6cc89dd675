"""The settings tree for people: every setting with its variable, default and meaning, and what is in force."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr

from contracts.settings import Settings

HEAD = """# Settings

Each is an environment variable; lists are JSON. `daogou settings --markdown` makes this page; a test compares.
"""


class Line(NamedTuple):
    """One setting."""

    variable: str
    default: str
    now: str
    meaning: str


def lines(settings: Settings) -> Iterator[tuple[str, list[Line]]]:
    """(section, its settings), in the tree's order; what has no section comes first."""
    plain = Settings.model_construct()
    yield (
        "",
        [
            _line(f"DAOGOU_{name.upper()}", field, getattr(plain, name), getattr(settings, name))
            for name, field in Settings.model_fields.items()
            if not isinstance(getattr(settings, name), BaseModel)
        ],
    )
    for name in Settings.model_fields:
        section = getattr(settings, name)
        if isinstance(section, BaseModel):
            default = type(section)()
            yield (
                name,
                [
                    _line(f"DAOGOU_{name.upper()}__{key.upper()}", field, getattr(default, key), getattr(section, key))
                    for key, field in type(section).model_fields.items()
                ],
            )


def _line(variable: str, field: Any, default: object, now: object) -> Line:
    return Line(variable, _text(default), _text(now), " ".join((field.description or "").split()))


def _text(value: object) -> str:
    """A value for people; a secret is only said to be there."""
    match value:
        case SecretStr():
            return "(set)" if value.get_secret_value() else ""
        case Enum():
            return str(value.value)
        case Path():
            return str(value).replace(str(Path.home()), "~")
        case None | ():
            return ""
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def markdown(settings: Settings) -> str:
    """The whole page, with the defaults."""
    parts = [HEAD]
    for section, rows in lines(settings):
        parts.append(f"\n## {section}\n" if section else "")
        parts.append("| variable | default | meaning |\n|---|---|---|")
        parts += [f"| `{row.variable}` | {f'`{row.default}`' if row.default else ''} | {row.meaning} |" for row in rows]
    return "\n".join(parts) + "\n"
