"""Texts of a file, scored by a bundle, as lines of JSON."""

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from contracts.bundle import Bundle
from contracts.errors import Reason, Unreadable
from contracts.items import Floats
from contracts.pairs import Pair
from contracts.settings import ModelSettings
from inference.heads import Head, biases_of

AT_ONCE = 256


class Scored(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One text and what the model says of it: a class, or a rating."""

    text: str
    label: str | None = None
    probability: float | None = None
    rating: float | None = None


class _Row(Struct, frozen=True):
    text: str
    beside: str = ""


def scored(bundle: Bundle, file: Path, settings: ModelSettings) -> Iterator[bytes]:
    """A line of JSON for each text, in order.

    Raises: BundleRefused, EnvironmentRefused; Unreadable for the file; ModelUnavailable.
    """
    head, pairs = Head(bundle, settings), _pairs(file)
    answer = _labels if bundle.manifest.kind == "classifier" else _ratings
    while some := list(islice(pairs, AT_ONCE)):
        yield from map(msgspec.json.encode, answer(head, some))


def _labels(head: Head, pairs: list[Pair]) -> Iterator[Scored]:
    found = head.labels([pair.text for pair in pairs])
    for pair, label in zip(pairs, found, strict=True):
        yield Scored(text=pair.text, label=label.name, probability=round(label.probability, 4))


def _ratings(head: Head, pairs: list[Pair]) -> Iterator[Scored]:
    biases = biases_of(head.bundle)
    ratings: Floats = head.scores(pairs)[:, 0] + (biases.mean if biases.residual else 0.0)
    for pair, rating in zip(pairs, ratings.clip(biases.low, biases.high).tolist(), strict=True):
        yield Scored(text=pair.text, rating=round(rating, 4))


def _pairs(file: Path) -> Iterator[Pair]:
    """Raise: Unreadable, naming the file and, in a file of rows, the line."""
    rows = ".jsonl" in file.suffixes
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _pair(f"{file}, line {number}", line) if rows else Pair(line.strip())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{file} cannot be read as texts: {error}") from error


def _pair(where: str, line: str) -> Pair:
    try:
        row = msgspec.json.decode(line, type=_Row)
    except msgspec.DecodeError as error:
        raise Unreadable(Reason.NOT_JSON, f"{where}: no row with a text: {error}") from error
    return Pair(row.text, row.beside)
