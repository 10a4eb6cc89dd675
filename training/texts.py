"""Texts to pretrain on, from files of items, of reviews, or of one text a line; and the part that is held out."""

import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from contracts.errors import Reason, Unreadable

HELD_OUT_PARTS = 10  # one in ten


class Row(Struct, frozen=True):
    """What is read of a row: an item's title and description, or a review's text."""

    item_id: str = ""
    title: str | None = ""
    category: str | None = ""
    brand: str | None = ""
    description: str | None = ""
    text: str | None = ""


class Corpus(NamedTuple):
    """Texts, each once; and pairs of texts of one product."""

    texts: list[str]
    pairs: list[tuple[str, str]]


class Said(NamedTuple):
    """A text, and the product that it speaks of ('' where none is named)."""

    product: str
    text: str


def read_texts(paths: Sequence[Path]) -> list[Said]:
    """``*.jsonl`` (rows), anything else one text a line; gzip where the name ends in ``.gz``. Repeats are dropped.

    Raises: Unreadable, naming file and line, or where there is no text at all.
    """
    found = dict.fromkeys(said for path in paths for said in _of_file(path))
    if not found:
        raise Unreadable(Reason.EMPTY, f"{', '.join(map(str, paths))}: no text in it")
    return list(found)


def split(said: Iterable[Said]) -> tuple[Corpus, Corpus]:
    """To learn from, and held out: a tenth of the products (of the texts where none is named), by hash.

    A text that is held out is nowhere in what is learned from, whichever product it stands by.
    """
    parts: tuple[list[Said], list[Said]] = ([], [])
    for each in said:
        parts[_held_out(each.product or each.text)].append(each)
    kept = {each.text for each in parts[1]}
    return _corpus([each for each in parts[0] if each.text not in kept], None), _corpus(parts[1], 1)


def _held_out(key: str) -> bool:
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") % HELD_OUT_PARTS == 0


def _corpus(said: Sequence[Said], most: int | None) -> Corpus:
    """Each text of a product is paired with its next one, ``most`` pairs a product; one that stands alone with none.

    Held out there is one pair a product: each pair's rivals are then other products' texts.
    """
    products: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for each in said:
        if each.product:
            products[each.product][each.text] = None
    pairs = [pair for texts in products.values() for pair in list(pairwise(texts))[:most]]
    return Corpus(list(dict.fromkeys(each.text for each in said)), pairs)


def _of_file(path: Path) -> Iterator[Said]:
    rows = ".jsonl" in path.suffixes
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield from _of_row(f"{path}, line {number}", line) if rows else _of_line(line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path} cannot be read as texts: {error}") from error


def _of_line(line: str) -> Iterator[Said]:
    if text := line.strip():
        yield Said("", text)


def _of_row(where: str, line: str) -> Iterator[Said]:
    try:
        row = msgspec.json.decode(line, type=Row)
    except msgspec.DecodeError as error:
        raise Unreadable(Reason.NOT_JSON, f"{where}: no row of an item or a review: {error}") from error
    rest = ". ".join(part for part in (row.category, row.brand, row.description) if part)
    yield from (Said(row.item_id, part.strip()) for part in (row.title, rest, row.text) if part and part.strip())
