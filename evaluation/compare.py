"""All baselines on one split in one run: every item ranked for every shopper, constants chosen on validation."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from contracts.bundle import Bundle
from evaluation.baselines.item_knn import ItemKnn
from evaluation.baselines.popularity import Popularity
from evaluation.baselines.transitions import Transitions, Validation, batches, tune, without_seen
from evaluation.engine_row import Served, Step, ranks_in
from evaluation.metrics import CUTOFFS, Difference, Quality, Ranks, compare, ndcg, quality, ranks_of
from evaluation.sequences import Log, Split, attribute_matrix, leave_one_out

TUNING_SHOPPERS = 4000
LIST = max(CUTOFFS)

Past = NDArray[np.int32]
Progress = Callable[[str], None]


class Model(Protocol):
    """What is compared: scores of all items for some shoppers."""

    name: str

    def scores(self, pasts: Sequence[Past]) -> NDArray[np.float32]:
        """[B, items]."""


class Answered(NamedTuple):
    """What one row of the table gave: ``ranks`` [B] of the targets, ``tops`` [B, 50] lists, -1 where they end."""

    name: str
    ranks: Ranks
    tops: NDArray[np.int32]


Build = Callable[[Log, Split, Sequence[Past], int], Model]
Row = Callable[[Log, Split, Sequence[Past], int], Answered]


class Result(Struct, frozen=True, kw_only=True):
    """One model's figures. ``gain`` is its NDCG@10 against the best baseline before it, by paired bootstrap."""

    model: str
    qualities: tuple[Quality, ...]
    seconds: float
    gain: Difference | None


class Comparison(Struct, frozen=True, kw_only=True):
    """A whole table, with what one must know to read it."""

    data: str
    protocol: str
    shoppers: int
    items: int
    seed: int
    results: tuple[Result, ...]


def leave_one_out_table(log: Log, progress: Progress, seed: int = 0, more: Sequence[Row] = ()) -> Comparison:
    """Fit each baseline on all but the last item, rank every unseen item, find the last one's rank.

    ``more``: rows beside the baselines.
    """
    split = leave_one_out(log)
    pasts = [np.append(past, item) for past, item in zip(split.pasts, split.validation, strict=True)]
    results: list[Result] = []
    best: NDArray[np.float64] | None = None
    for row in (*map(_scored, (_popularity, _item_knn, _transitions, _with_attributes)), *more):
        started = perf_counter()
        name, ranks, tops = row(log, split, pasts, seed)
        mine = ndcg(ranks, 10)
        gain = None if best is None else compare(mine, best, seed)
        results.append(_result(name, ranks, tops, pasts, len(log.items), perf_counter() - started, gain))
        best = mine if best is None or mine.mean() > best.mean() else best
        progress(f"{name}: NDCG@10 {mine.mean():.4f}")
    return Comparison(
        data=log.name, protocol="leave-one-out, full ranking, seen items removed", shoppers=len(pasts),
        items=len(log.items), seed=seed, results=tuple(results),
    )  # fmt: skip


def _scored(build: Build) -> Row:
    """The row of a model that scores all items."""

    def row(log: Log, split: Split, pasts: Sequence[Past], seed: int) -> Answered:
        model = build(log, split, pasts, seed)
        return Answered(model.name, *ranked(model, pasts, split.test))

    return row


def served(bundle: Bundle | None, step: Step) -> Row:
    """The row of what serves: the engine's own lists. A target outside its list counts as never found."""

    def row(log: Log, split: Split, pasts: Sequence[Past], _seed: int) -> Answered:
        engine = Served(log, pasts, bundle, step=step)
        tops = engine.lists(LIST)
        return Answered(engine.name, ranks_in(tops, split.test, len(log.items)), tops)

    return row


def ranked(model: Model, pasts: Sequence[Past], targets: NDArray[np.int32]) -> tuple[Ranks, NDArray[np.int32]]:
    """[B] ranks of the targets and [B, 50] lists."""
    ranks, tops = [], []
    for group, wanted in batches(pasts, targets):
        scores = without_seen(model.scores(group), group)
        ranks.append(ranks_of(scores, wanted))
        best = np.argpartition(-scores, min(LIST, scores.shape[1]) - 1, axis=1)[:, :LIST]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        tops.append(np.take_along_axis(best, order, 1).astype(np.int32))
    return np.concatenate(ranks), np.concatenate(tops)


def _result(
    name: str, ranks: Ranks, tops: NDArray[np.int32], pasts: Sequence[Past], items: int, seconds: float,
    gain: Difference | None,
) -> Result:  # fmt: skip
    counts = np.bincount(np.concatenate(pasts), minlength=items)
    qualities = tuple(quality(ranks, tops, counts, k) for k in CUTOFFS)
    return Result(model=name, qualities=qualities, seconds=seconds, gain=gain)


def _popularity(log: Log, _split: Split, pasts: Sequence[Past], _seed: int) -> Model:
    return Popularity(pasts, len(log.items))


def _item_knn(log: Log, _split: Split, pasts: Sequence[Past], _seed: int) -> Model:
    return ItemKnn(pasts, len(log.items))


def _transitions(log: Log, split: Split, pasts: Sequence[Past], seed: int) -> Model:
    constants = tune(split.pasts, len(log.items), _validation(split, seed))
    return Transitions(pasts, len(log.items), constants)


def _with_attributes(log: Log, split: Split, pasts: Sequence[Past], seed: int) -> Model:
    attributes = attribute_matrix(log)
    constants = tune(split.pasts, len(log.items), _validation(split, seed), attributes)
    return Transitions(pasts, len(log.items), constants, attributes)


def _validation(split: Split, seed: int) -> Validation:
    some = np.random.default_rng(seed).permutation(len(split.pasts))[:TUNING_SHOPPERS]
    return Validation([split.pasts[i] for i in some], split.validation[some])
