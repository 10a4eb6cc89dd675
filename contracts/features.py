"""Profiles and items -> the model's arrays. One definition, for training and for serving.

Shapes: B shoppers, H history tokens, N candidates, D item vector, F features. Rows are rows of the ``ItemTable``,
-1 for padding. Nothing here reads a clock: ``nows_ms`` [B] is the time of the event that asks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.events import ItemId, Kind
from contracts.items import NO_ROW, Floats, ItemTable, Rows
from contracts.profile import DAY_MS, Profile
from contracts.statistics import Statistics, kernel, look_up, sequence_rows

FEATURES_VERSION = 1
HISTORY_LIMIT = 50
GAP_BUCKETS = 32

#: The columns of ``candidate_features``, in their order.
FEATURES = (
    "co_occurrence", "similar_max", "similar_recent", "trend", "same_category", "same_brand", "price_gap",
    "last_met", "times_met", "bought", "shown", "in_cart", "newness", "no_text",
)  # fmt: skip

HISTORY_INPUTS = ("history_vectors", "history_kinds", "history_gaps")
RANKER_INPUTS = (*HISTORY_INPUTS, "candidate_vectors", "candidate_features")
HEADS = ("click", "cart", "purchase")

Integers = NDArray[np.int64]


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
    """Whole log2 of the seconds, 0..31; negative ages (late events) count as none."""
    seconds = np.maximum(ages_ms, 0) / 1000.0
    return np.minimum(np.log2(1.0 + seconds), GAP_BUCKETS - 1).astype(np.int64)


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
    """[B, N, F] float32, the columns of ``FEATURES``; 0 where a candidate is padding. Every value is finite."""
    recent = sequence_rows(table, profiles)
    columns = (
        _co_occurrence(table, statistics, recent, nows_ms, candidates),
        *_similarity(table, recent, candidates),
        np.log1p(statistics.trend(_latest(nows_ms)))[candidates],
        _share(table.categories[:, 0], table.categories, recent, candidates),
        _same(table.brands, recent, candidates),
        _price_gap(table.prices, recent, candidates),
        *_met(table, profiles, nows_ms, candidates),
        *_owned(table, profiles, nows_ms, candidates),
        _newness(table.added_ms, nows_ms, candidates),
        ~table.has_text[candidates],
    )
    stacked = np.stack([np.asarray(column, np.float32) for column in columns], axis=-1)
    stacked[candidates < 0] = 0.0
    return np.nan_to_num(stacked, copy=False)


def _latest(nows_ms: Integers) -> int:
    return int(nows_ms.max()) if len(nows_ms) else 0


def _co_occurrence(
    table: ItemTable, statistics: Statistics, recent: Rows, nows_ms: Integers, candidates: Rows
) -> NDArray[np.float64]:
    keys, scores = statistics.followers(recent, kernel(recent.shape[1]), _latest(nows_ms))
    wanted = np.arange(len(candidates), dtype=np.int64)[:, None] * len(table) + candidates
    return look_up(keys, scores, wanted)


def _similarity(table: ItemTable, recent: Rows, candidates: Rows) -> tuple[Floats, Floats]:
    """Cosine of the candidate to the last items: the best, and the mean weighted by recency."""
    near = _unit(gather(table.vectors, candidates)) @ _unit(gather(table.vectors, recent)).transpose(0, 2, 1)
    known = (recent >= 0)[:, None, :]
    weights = (kernel(recent.shape[1]) * (recent >= 0)).astype(np.float32)
    mean = (near @ weights[..., None])[..., 0] / np.maximum(weights.sum(-1, keepdims=True), 1e-6)
    return np.where(known, near, 0.0).max(-1), mean


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def _same(codes: Rows, recent: Rows, candidates: Rows) -> NDArray[np.float64]:
    """The share of the last items, by recency, that have the candidate's code."""
    mine, theirs = codes[candidates][:, :, None], codes[recent][:, None, :]
    weights = kernel(recent.shape[1]) * (recent >= 0)
    equal = (mine == theirs) & (mine > 0)
    return (equal * weights[:, None, :]).sum(-1) / np.maximum(weights.sum(-1), 1e-6)[:, None]


def _share(_widest: Rows, categories: Rows, recent: Rows, candidates: Rows) -> NDArray[np.float64]:
    """The mean over the levels of ``_same``: a narrow match counts more than a wide one."""
    levels = [_same(categories[:, level], recent, candidates) for level in range(categories.shape[1])]
    return np.mean(levels, axis=0)


def _price_gap(prices: Floats, recent: Rows, candidates: Rows) -> NDArray[np.float64]:
    """How far the candidate's log price is from the mean of the last items'; 0 where either is unknown."""
    logs = np.log1p(prices.astype(np.float64))
    seen = np.where(recent >= 0, logs[recent], np.nan)
    known = np.isfinite(seen)
    mean = np.where(known, seen, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)
    gap = np.abs(logs[candidates] - mean[:, None])
    return np.where(known.any(-1)[:, None], np.nan_to_num(gap), 0.0)


def _met(
    table: ItemTable, profiles: Sequence[Profile], nows_ms: Integers, candidates: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How lately the shopper met the candidate (1 now, e^-1 a day ago, 0 never), and log1p of how often."""
    lately, often = np.zeros(candidates.shape), np.zeros(candidates.shape)
    for b, profile in enumerate(profiles):
        rows = table.rows(profile.history.items)
        ages = (nows_ms[b] - np.array(profile.history.times_ms, np.int64)) / DAY_MS
        newest = _scatter(np.maximum, len(table), rows, np.exp(-np.clip(ages, 0, 50)))
        counts = _scatter(np.add, len(table), rows, np.ones(len(rows)))
        lately[b], often[b] = newest[candidates[b]], np.log1p(counts[candidates[b]])
    return lately, often


def _owned(
    table: ItemTable, profiles: Sequence[Profile], nows_ms: Integers, candidates: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bought (by recency over 30 days), log1p of times shown, in the cart."""
    bought, shown, cart = (np.zeros(candidates.shape) for _ in range(3))
    for b, profile in enumerate(profiles):
        ages = (nows_ms[b] - np.array(profile.bought.times_ms, np.int64)) / (30 * DAY_MS)
        had = _scatter(np.maximum, len(table), table.rows(profile.bought.items), np.exp(-np.clip(ages, 0, 50)))
        seen = _counts(table, profile.shown)
        bought[b], shown[b] = had[candidates[b]], np.log1p(seen[candidates[b]])
        cart[b] = _counts(table, profile.cart)[candidates[b]]
    return bought, shown, cart


def _counts(table: ItemTable, items: Sequence[ItemId]) -> NDArray[np.float64]:
    return _scatter(np.add, len(table), table.rows(items), np.ones(len(items)))


def _scatter(how: np.ufunc, size: int, rows: Rows, values: NDArray[np.float64]) -> NDArray[np.float64]:
    dense = np.zeros(size + 1)
    how.at(dense, rows, values)
    dense[-1] = 0.0  # row -1 is nobody
    return dense


def _newness(added_ms: Integers, nows_ms: Integers, candidates: Rows) -> NDArray[np.float64]:
    """1 for an item added now, e^-1 after two weeks; 0 where unknown."""
    added = added_ms[candidates]
    ages = np.clip((nows_ms[:, None] - added) / (14 * DAY_MS), 0, 50)
    return np.where(added > 0, np.exp(-ages), 0.0)


def kinds_that_count() -> tuple[Kind, ...]:
    """The kinds that each of ``HEADS`` learns from, in their order."""
    return (Kind.CLICK, Kind.CART_ADD, Kind.PURCHASE)
