"""One tree, drawn in the docstring; every error has a fate; codes never change."""

import ast
import builtins
from pathlib import Path

from contracts import errors
from contracts.errors import BadInput, DaogouError, Fatal, Fate, Reason, Refused, Unavailable

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "inference", "streams", "training", "export", "storefront", "launch")
FATES = {BadInput: Fate.DEAD_LETTER, Unavailable: Fate.RETRY, Refused: Fate.REFUSE, Fatal: Fate.CRASH}
CODES = {
    "empty", "oversize", "not_utf8", "not_json", "unknown_type", "invalid_field", "no_user", "impossible_time",
    "key_mismatch", "not_applicable", "output_refused",
}  # fmt: skip


def _below(kind: type[DaogouError]) -> list[type[DaogouError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _below(child))]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {name for name in (errors.__doc__ or "").replace("─", " ").split() if hasattr(errors, name)}
    assert drawn == {kind.__name__ for kind in _below(DaogouError)}


def test_every_error_has_the_fate_of_its_branch() -> None:
    for branch, fate in FATES.items():
        assert {kind.fate for kind in _below(branch)} == {fate}
    branches = {kind for branch in FATES for kind in _below(branch)}
    assert set(_below(DaogouError)) == branches | {DaogouError}


def test_codes_are_only_ever_added() -> None:
    assert {reason.value for reason in Reason} >= CODES


def test_errors_are_declared_in_one_place() -> None:
    """Any class that ends in an exception of ours or Python's, elsewhere, is a second tree."""
    ours = {kind.__name__ for kind in _below(DaogouError)}
    theirs = {n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, BaseException)}
    declared = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and {_name(base) for base in node.bases} & (ours | theirs)
    ]
    assert declared == []


def _name(base: ast.expr) -> str:
    return base.id if isinstance(base, ast.Name) else ""
