"""What two items can share in words: title words, category, brand, attributes; weighed by how rare each is.

Terms are hashed into ``BUCKETS`` (the hashing trick, Weinberger et al., 2009), so that memory does not grow with the
language. A term weighs its inverse document frequency, counted over the catalogue as it is now, and an item's weights
have unit length: a dot product of two items is the cosine of their terms. It needs no model, so a new item has it at
once.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from contracts.messages import CatalogueItem
from contracts.runs import Runs, owners_of_runs, sums_of_runs

BUCKETS = 1 << 16
TERMS = 128

Floats = NDArray[np.float32]
Rows = NDArray[np.int32]
Integers = NDArray[np.int64]

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


class Cells(NamedTuple):
    """The terms of M rows, end to end: ``lengths`` [M] says how many each has; ``buckets`` and ``weights`` [C].

    A row's weights have unit length.
    """

    lengths: Integers
    buckets: Rows
    weights: Floats

    def owners(self) -> Integers:
        """[C]: which of the M rows each term is of."""
        return owners_of_runs(self.lengths)


class Terms:
    """The terms of a catalogue's rows, end to end, so that an item takes no more room than it has terms.

    One thread at a time.
    """

    def __init__(self) -> None:
        self._runs = Runs(np.int32)
        self._frequency = np.zeros(BUCKETS, np.int64)
        self._items = 0
        self._idf: Floats | None = None
        self.changes = 0  # how often a row's terms changed, so that who keeps an index knows how old it is

    def put(self, row: int, item: CatalogueItem | None) -> None:
        """The terms of a row from now on; none where it is deleted."""
        self._runs.fit(row + 1)
        before, terms = self._runs.of(row)[0], np.array(terms_of(item) if item else [], np.int32)
        if np.array_equal(terms, before):
            return  # a new price or stock changes no word
        self._count(before, -1)
        self._runs.put(row, terms)
        self._count(terms, 1)
        self._idf = None
        self.changes += 1

    def _count(self, terms: Rows, by: int) -> None:
        self._frequency[terms] += by
        self._items += by if len(terms) else 0

    @property
    def frequency(self) -> Integers:
        """[BUCKETS]: in how many items each bucket is."""
        return self._frequency

    def of(self, rows: Rows) -> Cells:
        """The terms of ``rows`` [...], which count as one flat list; -1, padding, has none."""
        lengths, places = self._runs.places(rows.ravel())
        return self.weighed(lengths, self._runs.columns[0][places])

    def weighed(self, lengths: Integers, buckets: Rows) -> Cells:
        """Terms of items beside their weights in this catalogue."""
        if self._idf is None:
            self._idf = np.log((1.0 + self._items) / np.maximum(1, self._frequency)).astype(np.float32)
        weights = self._idf[buckets]
        norms = np.maximum(np.sqrt(sums_of_runs(weights * weights, lengths)), np.float32(1e-6))
        return Cells(lengths, buckets, weights / np.repeat(norms, lengths))


def alike(terms: Terms, recent: Rows, candidates: Rows, kernels: Floats) -> Floats:
    """[B, N, K]: for each of K ``kernels`` [K, L], the sum over ``recent`` [B, L] of weight times the terms' cosine."""
    shoppers, length = recent.shape
    asked, there = terms.of(recent), terms.of(candidates)
    known, slots = slots_of(asked.buckets, BUCKETS)
    width, owners = len(known) + 1, asked.owners()
    keys = owners // max(1, length) * width + slots[asked.buckets]
    each = there.lengths.reshape(candidates.shape).sum(axis=1)
    wanted = slots[there.buckets] + np.repeat(np.arange(shoppers) * width, each)
    found = np.empty((*candidates.shape, len(kernels)), np.float32)
    for number, kernel in enumerate(kernels):
        taste = np.bincount(keys, asked.weights * kernel[owners % max(1, length)], minlength=shoppers * width)
        shared = taste.astype(np.float32)[wanted] * there.weights
        found[..., number] = sums_of_runs(shared, there.lengths).reshape(candidates.shape)
    return found


def closest(terms: Terms, recent: Rows, rows: Rows) -> Rows:
    """[M]: which of ``recent`` [M, L] shares most with each of ``rows`` [M]."""
    asked, there = terms.of(recent), terms.of(rows)
    owners = asked.owners()
    mine = owners // max(1, recent.shape[1]) * BUCKETS + asked.buckets
    shared = np.isin(mine, there.owners() * BUCKETS + there.buckets)
    sums = np.bincount(owners, asked.weights * shared, minlength=recent.size).reshape(recent.shape)
    return np.asarray(recent[np.arange(len(recent)), sums.argmax(axis=1)])


def slots_of(values: Rows, most: int) -> tuple[Rows, Rows]:
    """The distinct ``values``; and for each number of 0..``most`` its place among them, or after them if absent."""
    known = np.unique(values)
    slots = np.full(most + 1, len(known), np.int32)
    slots[known] = np.arange(len(known), dtype=np.int32)
    return known, slots
