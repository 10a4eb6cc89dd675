"""All rows on one split in one run: every item ranked for every shopper asked, constants chosen on validation."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import sparse

from contracts.bundle import Bundle
from contracts.settings import EngineSettings
from evaluation.baselines.content import tuned
from evaluation.baselines.item_knn import ItemKnn
from evaluation.baselines.popularity import Popularity
from evaluation.baselines.transitions import Scoring, Transitions, batches, tune, without_seen
from evaluation.engine_row import Served, ranks_in
from evaluation.metrics import CUTOFFS, Difference, Quality, Ranks, compare, ndcg, quality, ranks_of
from evaluation.seen import Seen
from evaluation.sequences import Log, attribute_matrix
from evaluation.small import too_small
from evaluation.task import Task
from training.telling import Step

LIST = max(CUTOFFS)
SERVED_LIST = 200
AMONG_COLD = 10

Past = NDArray[np.int32]
Tops = NDArray[np.int32]
Progress = Callable[[str], None]


class Model(Scoring, Protocol):
    """What is compared, by its name."""

    name: str


class Answered(NamedTuple):
    """What one row of the table gave: ``ranks`` [B] of the targets, ``tops`` [B, 50] lists, -1 where they end.

    ``among_cold`` [B]: the ranks among the cold items only, where the task has such.
    """

    name: str
    ranks: Ranks
    tops: Tops
    among_cold: Ranks | None = None


Build = Callable[[Log, Task, int], Model]
Row = Callable[[Log, Task, int], Answered]


class Result(Struct, frozen=True, kw_only=True):
    """One model's figures. ``gain`` is its NDCG@10 against the best row before it, by paired bootstrap.

    ``ndcg_10`` is its own, with the interval of a bootstrap over shoppers. ``recall_10_among_cold`` ranks the cold
    items only, and is None where the protocol has none.
    """

    model: str
    qualities: tuple[Quality, ...]
    seconds: float
    gain: Difference | None
    ndcg_10: Difference
    recall_10_among_cold: float | None = None


class AgainstAll(Struct, frozen=True, kw_only=True):
    """Of so many shoppers, drawn: as served, with all items scored, and what is lost, by a paired bootstrap."""

    shoppers: int
    served_hit_rate_10: float
    served_ndcg_10: float
    whole_hit_rate_10: float
    whole_ndcg_10: float
    lost_ndcg_10: Difference


class Comparison(Struct, frozen=True, kw_only=True):
    """A whole table, with what one must know to read it. ``against_all``: what candidates cost, where asked.

    ``met_before``: how many shoppers are asked for an item of their own past, which no row may show.
    ``bundle_seen``: whether a bundle that was given knew what was asked. ``warnings`` are for people.
    """

    data: str
    protocol: str
    shoppers: int
    items: int
    seed: int
    results: tuple[Result, ...]
    cold_items: int | None = None
    met_before: int = 0
    against_all: AgainstAll | None = None
    bundle_seen: Seen | None = None
    warnings: tuple[str, ...] = ()


def table(log: Log, task: Task, progress: Progress, seed: int, rows: Sequence[Row]) -> Comparison:
    """Each row in turn, all on the same task."""
    attributes, results = attribute_matrix(log), list[Result]()
    best: NDArray[np.float64] | None = None
    for row in rows:
        started = perf_counter()
        answered = row(log, task, seed)
        seconds, mine = perf_counter() - started, ndcg(answered.ranks, 10)
        gain = None if best is None else compare(mine, best, seed)
        results.append(_result(answered, task, attributes, seconds, gain, seed))
        best = mine if best is None or mine.mean() > best.mean() else best
        progress(f"{answered.name}: NDCG@10 {mine.mean():.4f}")
    cold = None if task.cold is None else int(task.cold.sum())
    return Comparison(
        data=log.name, protocol=task.protocol, shoppers=len(task.asked), items=len(log.items), seed=seed,
        results=tuple(results), cold_items=cold, met_before=task.met_before(), warnings=_warnings(len(log.items), cold),
    )  # fmt: skip


def _warnings(items: int, cold: int | None) -> tuple[str, ...]:
    among = () if cold is None else too_small("cold items", cold, (AMONG_COLD,))
    return (*too_small("items", items, CUTOFFS), *among)


def scored(build: Build) -> Row:
    """The row of a model that scores all items."""

    def row(log: Log, task: Task, seed: int) -> Answered:
        model, pasts = build(log, task, seed), task.asking()
        ranks, tops = ranked(model, pasts, task.targets)
        return Answered(model.name, ranks, tops, None if task.cold is None else _among(model, task, task.cold))

    return row


def served(bundle: Bundle | None, step: Step, settings: EngineSettings | None = None, told: bool = False) -> Row:
    """The row of what serves: the engine's own lists. A target outside its list counts as never found.

    Among cold items it has those of its list of 200, in the order of that list. ``told``: the catalogue says which
    items are new, namely the cold ones.
    """

    def row(log: Log, task: Task, _seed: int) -> Answered:
        new = task.cold if told else None
        engine, items = Served(log, task.learned, bundle, settings, step, new), len(log.items)
        lists = engine.lists(LIST if task.cold is None else SERVED_LIST, task.asked.tolist())
        ranks = ranks_in(lists[:, :LIST], task.targets, items)
        cold = None if task.cold is None else ranks_in(_only(lists, task.cold), task.targets, items)
        return Answered(engine.name, ranks, lists[:, :LIST], cold)

    return row


def ranked(model: Model, pasts: Sequence[Past], targets: NDArray[np.int32]) -> tuple[Ranks, Tops]:
    """[B] ranks of the targets and [B, 50] lists."""
    ranks, tops = [], []
    for group, wanted in batches(pasts, targets):
        scores = without_seen(model.scores(group), group)
        ranks.append(ranks_of(scores, wanted))
        best = np.argpartition(-scores, min(LIST, scores.shape[1]) - 1, axis=1)[:, :LIST]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        tops.append(np.take_along_axis(best, order, 1).astype(np.int32))
    return np.concatenate(ranks), np.concatenate(tops)


def _among(model: Model, task: Task, cold: NDArray[np.bool_]) -> Ranks:
    """[B]: the ranks of the targets among the ``cold`` [items] only."""
    groups = batches(task.asking(), task.targets)
    return np.concatenate([ranks_of(np.where(cold, model.scores(some), -np.inf), wanted) for some, wanted in groups])


def _only(lists: Tops, kept: NDArray[np.bool_]) -> Tops:
    """The lists without the items that are not ``kept`` [items], closed up, -1 at their ends."""
    out = ~kept[lists] | (lists < 0)
    order = np.argsort(out, axis=1, kind="stable")
    return np.take_along_axis(np.where(out, -1, lists), order, 1)


def _result(
    answered: Answered, task: Task, attributes: sparse.csr_matrix, seconds: float, gain: Difference | None, seed: int
) -> Result:
    ranks, tops, cold = answered.ranks, answered.tops, answered.among_cold
    counts = np.bincount(np.concatenate(task.pasts), minlength=attributes.shape[0])
    return Result(
        model=answered.name, seconds=seconds, gain=gain,
        qualities=tuple(quality(ranks, tops, counts, k, attributes) for k in CUTOFFS),
        ndcg_10=compare(ndcg(ranks, 10), np.zeros(len(ranks)), seed),
        recall_10_among_cold=None if cold is None else float((cold < AMONG_COLD).mean()),
    )  # fmt: skip


def _popularity(log: Log, task: Task, _seed: int) -> Model:
    return Popularity(task.pasts, len(log.items))


def _item_knn(log: Log, task: Task, _seed: int) -> Model:
    return ItemKnn(task.pasts, len(log.items))


def _content(log: Log, task: Task, _seed: int) -> Model:
    return tuned(attribute_matrix(log), task.validation)


def _transitions(log: Log, task: Task, _seed: int) -> Model:
    constants = tune(task.before, len(log.items), task.validation)
    return Transitions(task.pasts, len(log.items), constants)


def _with_attributes(log: Log, task: Task, _seed: int) -> Model:
    attributes = attribute_matrix(log)
    constants = tune(task.before, len(log.items), task.validation, attributes)
    return Transitions(task.pasts, len(log.items), constants, attributes)


def sasrec(say: Progress) -> Row:
    """The row of SASRec. It takes minutes, and torch."""

    def build(log: Log, task: Task, seed: int) -> Model:
        from evaluation.baselines.sasrec import fit

        return fit(task.before, task.pasts, len(log.items), task.validation, seed, say)

    return scored(build)


#: Every protocol has these rows but the cold one, which has ``COLD_BASELINES``.
BASELINES = tuple(map(scored, (_popularity, _item_knn, _content, _transitions, _with_attributes)))
COLD_BASELINES = tuple(map(scored, (_popularity, _content, _with_attributes)))
