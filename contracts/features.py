"""Profiles and items -> the model's arrays. One definition, for training and for serving.

Shapes: B shoppers, H history tokens, N candidates, D item vector, F features. Rows are rows of the ``ItemTable``,
-1 for padding. Nothing here reads a clock: ``nows_ms`` [B] is the time of the event that asks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.items import NO_ROW, Floats, ItemTable, Rows
from contracts.profile import DAY_MS, Profile
from contracts.statistics import Statistics, kernel, look_up, sequence_rows
from contracts.terms import alike

FEATURES_VERSION = 4
HISTORY_LIMIT = 50
GAP_BUCKETS = 32
EVENLY = 0.97  # base of the kernel that counts the last items nearly alike
RARE = 5.0  # added to popularities, so that what was seen once is not certain

#: The columns of ``candidate_features``, in their order. A bundle names those that it reads, so one more may be added
#: anywhere and bundles of before serve on; what a name means changes with ``FEATURES_VERSION`` alone.
FEATURES = (
    "co_occurrence", "co_occurrence_even", "co_occurrence_last", "preceded", "co_occurrence_cosine",
    "words_recent", "words_even", "words_last", "trend", "last_met", "times_met", "bought", "shown", "in_cart",
    "newness",
)  # fmt: skip

HISTORY_INPUTS = ("history_vectors", "history_kinds", "history_gaps")
RANKER_INPUTS = (*HISTORY_INPUTS, "candidate_vectors", "candidate_features")
#: What a slate is ordered by; every ranker has these.
ORDER_HEADS = ("click", "cart", "purchase")
#: What comes after: the share of the stars that a shopper would give, and whether they visit the shop again within a
#: week. A ranker has those that its log could teach.
OUTCOME_HEADS = ("rating", "return_visit")
HEADS = (*ORDER_HEADS, *OUTCOME_HEADS)

Integers = NDArray[np.int64]

_GAP_EDGES_MS = 1000 * (2 ** np.arange(1, GAP_BUCKETS, dtype=np.int64) - 1)  # integers, so that no rounding decides


class Histories(NamedTuple):
    """The last events of B shoppers, left-padded: the newest is at H - 1.

    ``rows`` [B, H] int32; ``kinds`` [B, H] int64, 0 where padded; ``gaps`` [B, H] int64, log2 buckets of the
    seconds between the event and now.
    """

    rows: Rows
    kinds: Integers
    gaps: Integers


def histories(
    table: ItemTable, profiles: Sequence[Profile], nows_ms: Integers, limit: int = HISTORY_LIMIT
) -> Histories:
    """The last ``limit`` events of each profile; H is the longest history at hand, at least 1."""
    longest = max(1, max((min(limit, len(p.history.items)) for p in profiles), default=1))
    rows = np.full((len(profiles), longest), NO_ROW, np.int32)
    kinds = np.zeros((len(profiles), longest), np.int64)
    ages = np.zeros((len(profiles), longest), np.int64)
    for b, profile in enumerate(profiles):
        history = profile.history
        length = min(longest, len(history.items))
        if length:
            rows[b, -length:] = table.rows(history.items[-length:])
            kinds[b, -length:] = history.kinds[-length:]
            ages[b, -length:] = nows_ms[b] - np.array(history.times_ms[-length:], np.int64)
    return Histories(rows, kinds, gap_buckets(ages))


def gap_buckets(ages_ms: Integers) -> Integers:
    """Whole log2 of 1 + the seconds, 0..31; negative ages (late events) count as none."""
    return np.searchsorted(_GAP_EDGES_MS, ages_ms, side="right").astype(np.int64)


def history_inputs(table: ItemTable, history: Histories) -> dict[str, NDArray[np.generic]]:
    """What ``retriever.onnx`` reads, by name."""
    return {
        "history_vectors": gather(table.vectors, history.rows),
        "history_kinds": history.kinds,
        "history_gaps": history.gaps,
    }


def ranker_inputs(
    table: ItemTable, history: Histories, candidates: Rows, features: Floats
) -> dict[str, NDArray[np.generic]]:
    """What ``ranker.onnx`` reads, by name. ``candidates`` [B, N], ``features`` [B, N, F]."""
    inputs = history_inputs(table, history)
    inputs["candidate_vectors"] = gather(table.vectors, candidates)
    inputs["candidate_features"] = features
    return inputs


def gather(vectors: Floats, rows: Rows) -> Floats:
    """vectors[rows], zeros where the row is -1."""
    if len(vectors) == 0:
        return np.zeros((*rows.shape, vectors.shape[1]), np.float32)
    taken: Floats = vectors[rows]
    taken[rows < 0] = 0.0
    return taken


def candidate_features(
    table: ItemTable, statistics: Statistics, profiles: Sequence[Profile], nows_ms: Integers, candidates: Rows
) -> Floats:
    """[B, N, F] float32, the columns of ``FEATURES``; 0 where a candidate is padding. Every value is finite.

    A shopper's values depend on that shopper alone, not on who else is in the batch.
    """
    if not len(table):
        return np.zeros((*candidates.shape, len(FEATURES)), np.float32)
    recent = sequence_rows(table, profiles)
    columns = (
        *_co_occurrence(statistics, recent, nows_ms, candidates),
        *np.moveaxis(alike(table.terms, recent, candidates, _kernels(recent.shape[1])), -1, 0),
        np.log1p(statistics.trend(candidates, nows_ms)),
        *_met(table, profiles, nows_ms, candidates),
        *_owned(table, profiles, nows_ms, candidates),
        _newness(table.added_ms, nows_ms, candidates),
    )
    stacked = np.stack([np.asarray(column, np.float32) for column in columns], axis=-1)
    stacked[candidates < 0] = 0.0
    return np.nan_to_num(stacked, copy=False, posinf=0.0, neginf=0.0)


def _kernels(length: int) -> Floats:
    """[3, L]: how much each of the last items counts: by recency, nearly evenly, only the last one."""
    last = np.arange(length) == 0
    return np.stack([kernel(length), kernel(length, EVENLY), last]).astype(np.float32)


def _co_occurrence(
    statistics: Statistics, recent: Rows, nows_ms: Integers, candidates: Rows
) -> tuple[NDArray[np.float64], ...]:
    """What came after the last items, by recency, nearly evenly, and after the very last; what came before them; and
    both beside chance.

    That is the cosine of two items' shoppers, roughly: counts over the root of both popularities.
    """
    after, before = statistics.between(recent, candidates, nows_ms)
    mine, theirs = (statistics.trend(rows, nows_ms) + RARE for rows in (candidates, recent))
    cosine = (after + before) / np.sqrt(mine[:, :, None] * theirs[:, None, :])
    by_recency, evenly = kernel(recent.shape[1]), kernel(recent.shape[1], EVENLY)
    followed = np.log1p(after)
    before_them = np.log1p(before) @ by_recency
    return followed @ by_recency, followed @ evenly, followed[..., 0], before_them, cosine @ evenly


def _met(
    table: ItemTable, profiles: Sequence[Profile], nows_ms: Integers, candidates: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How lately the shopper met the candidate (1 now, e^-1 a day ago, 0 never), and log1p of how often."""
    wanted = table.keys(candidates)
    keys = table.keys_of([p.history.items for p in profiles])
    ages = _ages(nows_ms, [p.history.times_ms for p in profiles]) / DAY_MS
    lately = look_up(*_highest(keys, np.exp(-np.clip(ages, 0, 50))), wanted)
    return lately, np.log1p(_times(keys, wanted))


def _owned(
    table: ItemTable, profiles: Sequence[Profile], nows_ms: Integers, candidates: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bought (by recency over 30 days), log1p of times shown, in the cart."""
    wanted = table.keys(candidates)
    bought = table.keys_of([p.bought.items for p in profiles])
    ages = _ages(nows_ms, [p.bought.times_ms for p in profiles]) / (30 * DAY_MS)
    shown = _times(table.keys_of([p.shown for p in profiles]), wanted)
    cart = _times(table.keys_of([p.cart for p in profiles]), wanted)
    return look_up(*_highest(bought, np.exp(-np.clip(ages, 0, 50))), wanted), np.log1p(shown), cart


def _ages(nows_ms: Integers, times_ms: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    flat = np.array([time for times in times_ms for time in times], np.int64)
    return np.asarray(np.repeat(nows_ms, [len(times) for times in times_ms]) - flat, np.float64)


def _highest(keys: Integers, values: NDArray[np.float64]) -> tuple[Integers, NDArray[np.float64]]:
    """The distinct known keys, sorted, and the greatest of each one's values (all at least 0)."""
    known = keys >= 0
    unique, inverse = np.unique(keys[known], return_inverse=True)
    highest = np.zeros(len(unique))
    np.maximum.at(highest, inverse, values[known])
    return unique, highest


def _times(keys: Integers, wanted: Integers) -> NDArray[np.float64]:
    """How often each wanted key is among ``keys``."""
    unique, counts = np.unique(keys[keys >= 0], return_counts=True)
    return look_up(unique, counts.astype(np.float64), wanted)


def _newness(added_ms: Integers, nows_ms: Integers, candidates: Rows) -> NDArray[np.float64]:
    """1 for an item added now, e^-1 after two weeks; 0 where unknown."""
    added = added_ms[candidates]
    ages = np.clip((nows_ms[:, None] - added) / (14 * DAY_MS), 0, 50)
    return np.asarray(np.where(added > 0, np.exp(-ages), 0.0))
