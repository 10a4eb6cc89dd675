"""What it costs that the ranker does not score every item: the same bundle with the whole catalogue as candidates."""

import numpy as np

from contracts.bundle import Bundle
from contracts.settings import EngineSettings
from evaluation.compare import AgainstAll, served
from evaluation.metrics import compare, hit_rate, ndcg
from evaluation.sequences import Log
from evaluation.task import Task
from training.telling import Step

DRAWS = 0xA11


def against_all(
    log: Log, task: Task, bundle: Bundle, settings: EngineSettings, step: Step, most: int, seed: int
) -> AgainstAll:
    """Ask ``most`` of the shoppers both ways. Nothing but the limits on candidates differs."""
    some = np.sort(np.random.default_rng([seed, DRAWS]).permutation(len(task.asked))[:most])
    fewer = task._replace(asked=task.asked[some], targets=task.targets[some])
    both = (settings, everything(settings, log))
    ours, whole = (served(bundle, step, each)(log, fewer, seed).ranks for each in both)
    return AgainstAll(
        shoppers=len(some),
        served_hit_rate_10=float(hit_rate(ours, 10).mean()),
        served_ndcg_10=float(ndcg(ours, 10).mean()),
        whole_hit_rate_10=float(hit_rate(whole, 10).mean()),
        whole_ndcg_10=float(ndcg(whole, 10).mean()),
        lost_ndcg_10=compare(ndcg(whole, 10), ndcg(ours, 10), seed),
    )


def everything(settings: EngineSettings, log: Log) -> EngineSettings:
    """Each source may propose the whole catalogue, and the ranker scores all that is proposed."""
    items = len(log.items)
    return settings.model_copy(update={"per_source": items, "considered": items, "candidates": items})
