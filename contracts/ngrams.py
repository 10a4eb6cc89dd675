"""Character n-grams of a text, hashed: what a classifier reads beside its tokens. One definition, live and in training.

Characters need no tokenizer and no language; hashing (Weinberger et al., 2009) needs no list of those that were seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LENGTHS = (1, 2, 3)
LONGEST = 1000  # characters of a text
BITS = 20
BUCKETS = 1 << BITS

#: What a graph reads beside a BERT's inputs. Weights are by bucket: with other buckets these names change too.
NGRAM_INPUTS = ("gram_ids", "gram_weights")

_NEXT = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_FOLD, _TOP = np.uint64(32), np.uint64(64 - BITS)


class Ngrams(NamedTuple):
    """Of n texts, each filled up to the most that one has: ``ids`` [n, G] int64, buckets; ``weights`` [n, G] float32.

    A weight is 1 + log of how often the bucket is met in the text, 0 where there is nothing.
    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]


def ngrams_of(text: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The buckets of one text in lower case, its ends marked, each once and in order; and their weights."""
    marked = f" {text[:LONGEST].lower()} ".encode("utf-32-le", errors="replace")
    letters = np.frombuffer(marked, np.uint32).astype(np.uint64)
    hashes, found = np.zeros(len(letters), np.uint64), []
    for length in LENGTHS[: len(letters)]:
        hashes = hashes[: len(letters) - length + 1] * _NEXT + letters[length - 1 :] + np.uint64(1)
        found.append(((hashes ^ (hashes >> _FOLD)) * _MIX) >> _TOP)
    buckets, counts = np.unique(np.concatenate(found), return_counts=True)
    return buckets.astype(np.int64), (1.0 + np.log(counts)).astype(np.float32)


def ngrams(texts: Sequence[str]) -> Ngrams:
    """Of all ``texts``, padded."""
    each = [ngrams_of(text) for text in texts]
    longest = max((len(buckets) for buckets, _ in each), default=1)
    padded = Ngrams(np.zeros((len(each), longest), np.int64), np.zeros((len(each), longest), np.float32))
    for row, (buckets, weights) in enumerate(each):
        padded.ids[row, : len(buckets)], padded.weights[row, : len(weights)] = buckets, weights
    return padded
