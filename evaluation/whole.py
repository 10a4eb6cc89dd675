"""What it costs that the ranker does not score every item: the same bundle with the whole catalogue as candidates."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from contracts.bundle import Bundle
from contracts.settings import EngineSettings
from evaluation.engine_row import Served, Step, ranks_in
from evaluation.metrics import CUTOFFS, Difference, Ranks, compare, hit_rate, ndcg
from evaluation.sequences import Log
from evaluation.task import Task

DRAWS = 0xA11


class AgainstAll(Struct, frozen=True, kw_only=True):
    """Of so many shoppers, drawn: as served, with all items scored, and what is lost, by a paired bootstrap."""

    shoppers: int
    served_hit_rate_10: float
    served_ndcg_10: float
    whole_hit_rate_10: float
    whole_ndcg_10: float
    lost_ndcg_10: Difference


def against_all(
    log: Log, task: Task, bundle: Bundle, settings: EngineSettings, step: Step, most: int, seed: int
) -> AgainstAll:
    """Ask ``most`` of the shoppers both ways. Nothing but the limits on candidates differs."""
    some = np.sort(np.random.default_rng([seed, DRAWS]).permutation(len(task.asked))[:most])
    served, whole = (_ranks(log, task, bundle, each, step, some) for each in (settings, everything(settings, log)))
    lost = compare(ndcg(whole, 10), ndcg(served, 10), seed)
    return AgainstAll(
        shoppers=len(some),
        served_hit_rate_10=_mean(hit_rate(served, 10)),
        served_ndcg_10=_mean(ndcg(served, 10)),
        whole_hit_rate_10=_mean(hit_rate(whole, 10)),
        whole_ndcg_10=_mean(ndcg(whole, 10)),
        lost_ndcg_10=lost,
    )


def everything(settings: EngineSettings, log: Log) -> EngineSettings:
    """Each source may propose the whole catalogue, and the ranker scores all that is proposed."""
    items = len(log.items)
    return settings.model_copy(update={"per_source": items, "considered": items, "candidates": items})


def _ranks(
    log: Log, task: Task, bundle: Bundle, settings: EngineSettings, step: Step, some: NDArray[np.int64]
) -> Ranks:
    lists = Served(log, task.pasts, bundle, settings, step).lists(max(CUTOFFS), task.asked[some].tolist())
    return ranks_in(lists, task.targets[some], len(log.items))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())
