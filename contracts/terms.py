"""What two items can share in words: title words, category, brand, attributes; weighed by how rare each is.

Terms are hashed into ``BUCKETS`` (the hashing trick, Weinberger et al., 2009), so that memory does not grow with the
language. A term weighs its inverse document frequency, counted over the catalogue as it is now, and an item's weights
have unit length: a dot product of two items is the cosine of their terms. It needs no model, so a new item has it at
once.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from contracts.messages import CatalogueItem

BUCKETS = 1 << 16
TERMS = 32
NO_TERM = BUCKETS  # a bucket that nothing is hashed into

Floats = NDArray[np.float32]
Rows = NDArray[np.int32]

_WORD = re.compile(r"[^\W_\u3040-\u30ff\u4e00-\u9fff]+|[\u3040-\u30ff\u4e00-\u9fff]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def terms_of(item: CatalogueItem) -> list[int]:
    """The buckets of an item's terms, each once, at most ``TERMS``: what tells most about it comes first."""
    brand = item.brand or _first_word(item.title)
    names = (*_paths(item.category), *_named("brand", brand), *_attributes(item), *_words(item.title))
    return list(dict.fromkeys(crc32(name.encode()) % BUCKETS for name in names))[:TERMS]


def _first_word(title: str) -> str:
    """What stands for the brand where none is named: titles begin with it more often than not, if words are parted."""
    found = _WORD.search(title.lower())
    return found.group() if found and not _UNSPACED.match(found.group()) else ""


def _paths(category: tuple[str, ...]) -> Iterator[str]:
    for depth in range(len(category)):
        yield "category " + " > ".join(category[: depth + 1])


def _named(space: str, name: str) -> tuple[str, ...]:
    return (f"{space} {name}",) if name else ()


def _attributes(item: CatalogueItem) -> Iterator[str]:
    return (f"attribute {name}" for name in item.attributes)


def _words(text: str) -> Iterator[str]:
    """Words; where a language does not part them (Chinese, Japanese), each two neighbouring characters."""
    for run in _WORD.findall(text.lower()):
        if len(run) > 1 and _UNSPACED.match(run):
            yield from (f"word {a}{b}" for a, b in pairwise(run))
        else:
            yield f"word {run}"


def padded(terms: list[int]) -> Rows:
    """[TERMS]: buckets, filled up with ``NO_TERM``."""
    return np.array([*terms, *[NO_TERM] * (TERMS - len(terms))], np.int32)


class Terms:
    """The terms of a catalogue's rows. One thread at a time."""

    def __init__(self) -> None:
        self._of = np.full((0, TERMS), NO_TERM, np.int32)
        self._frequency = np.zeros(BUCKETS + 1, np.int64)
        self._items = 0
        self._idf: Floats | None = None
        self.changes = 0  # how often a row's terms changed, so that who keeps an index knows how old it is

    def put(self, row: int, item: CatalogueItem | None) -> None:
        """The terms of a row from now on; none where it is deleted."""
        self._fit(row)
        terms = padded(terms_of(item) if item else [])
        if np.array_equal(terms, self._of[row]):
            return  # a new price or stock changes no word
        self._count(row, -1)
        self._of[row] = terms
        self._count(row, 1)
        self._idf = None
        self.changes += 1

    def _count(self, row: int, by: int) -> None:
        known = self._of[row][self._of[row] < NO_TERM]
        self._frequency[known] += by
        self._items += by if len(known) else 0

    @property
    def buckets(self) -> Rows:
        """[rows, TERMS]: ``NO_TERM`` is padding. It may have rows beyond the table's, without terms."""
        return self._of

    @property
    def frequency(self) -> NDArray[np.int64]:
        """[BUCKETS + 1]: in how many items each bucket is."""
        return self._frequency

    def weights(self, buckets: Rows) -> Floats:
        """[..., TERMS]: the weights of items' ``buckets``, of unit length; 0 for padding."""
        if self._idf is None:
            self._idf = np.log((1.0 + self._items) / np.maximum(1, self._frequency)).astype(np.float32)
            self._idf[NO_TERM] = 0.0
        weights = self._idf[buckets]
        lengths = np.sqrt(np.einsum("...t,...t->...", weights, weights))
        return np.asarray(weights / np.maximum(lengths, 1e-6)[..., None], np.float32)

    def of(self, rows: Rows) -> tuple[Rows, Floats]:
        """Buckets and weights of ``rows`` [...], -1 for padding: both [..., TERMS]."""
        if not len(self._of):
            return np.full((*rows.shape, TERMS), NO_TERM, np.int32), np.zeros((*rows.shape, TERMS), np.float32)
        buckets = np.where((rows >= 0)[..., None], self._of[np.minimum(rows, len(self._of) - 1)], np.int32(NO_TERM))
        return buckets, self.weights(buckets)

    def _fit(self, row: int) -> None:
        if row >= len(self._of):
            more = np.full((max(1024, row + 1 - len(self._of), len(self._of)), TERMS), NO_TERM, np.int32)
            self._of = np.concatenate([self._of, more])


def alike(terms: Terms, recent: Rows, candidates: Rows, kernels: Floats) -> Floats:
    """[B, N, K]: for each of K ``kernels`` [K, L], the sum over ``recent`` [B, L] of weight times the terms' cosine."""
    asked, asked_weights = terms.of(recent)
    known, slots = slots_of(asked, BUCKETS)
    taste = np.zeros((len(recent), len(known) + 1, len(kernels)), np.float32)
    shoppers = np.arange(len(recent))[:, None, None]
    values = asked_weights[..., None] * kernels.T[None, :, None, :]
    np.add.at(taste, (shoppers, slots[asked]), values)
    taste[:, slots[NO_TERM]] = 0.0
    there, weights = terms.of(candidates)
    found = taste[shoppers, slots[there]]
    return np.asarray(np.einsum("bntk,bnt->bnk", found, weights), np.float32)


def closest(terms: Terms, recent: Rows, rows: Rows) -> Rows:
    """[M]: which of ``recent`` [M, L] shares most with each of ``rows`` [M]."""
    asked, weights = terms.of(recent)
    there, _ = terms.of(rows)
    shared = (asked[:, :, :, None] == there[:, None, None, :]).any(axis=-1) & (asked < NO_TERM)
    best = np.where(shared, weights, 0.0).sum(axis=-1).argmax(axis=1)
    return np.asarray(recent[np.arange(len(recent)), best])


def slots_of(values: Rows, most: int) -> tuple[Rows, Rows]:
    """The distinct ``values``; and for each number of 0..``most`` its place among them, or after them if absent."""
    known = np.unique(values)
    slots = np.full(most + 1, len(known), np.int32)
    slots[known] = np.arange(len(known), dtype=np.int32)
    return known, slots
