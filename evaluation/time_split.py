"""One cut through time: what happened before it teaches, and each shopper's first new item after it is predicted.

Leave-one-out lets a model know what others did later; here nobody knows anything from after the cut. Constants are
chosen on a second cut, inside what teaches.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.errors import Reason, Unacceptable
from evaluation.sequences import Log
from evaluation.task import Past, Task, some_of
from training.visits import Visits

QUANTILE = 0.8

Times = NDArray[np.float64]


class Cut(NamedTuple):
    """``pasts`` and ``times`` of all who came before ``at``; ``asked`` [B] of them, who took ``targets`` [B] after.

    ``came``: which shoppers they are.
    """

    at: float
    came: Sequence[int]
    pasts: Sequence[Past]
    times: Sequence[Times]
    asked: NDArray[np.int64]
    targets: NDArray[np.int32]


def later_ones(log: Log, seed: int, quantile: float = QUANTILE) -> Task:
    """The task. Raises: Unacceptable, where events have no times or nobody comes back."""
    if not all(len(times) and (times > 0).all() for times in log.times) or not log.times:
        raise Unacceptable(Reason.IMPOSSIBLE_TIME, f"{log.name} has no times: a time split needs them")
    test = cut(log.sequences, log.times, quantile)
    choose = cut(test.pasts, test.times, quantile) if len(test.asked) else test
    if not len(test.asked) or not len(choose.asked):
        raise Unacceptable(Reason.EMPTY, f"{log.name}: nobody took something new after the cut")
    day = datetime.fromtimestamp(test.at, UTC).date()
    return Task(
        protocol=f"time split at {day}: the first new item after it, full ranking, seen items removed",
        pasts=test.pasts, learned=_visits_until(log, test), asked=test.asked, targets=test.targets,
        held_out=_since(log, test.at), before=choose.pasts,
        validation=some_of([choose.pasts[i] for i in choose.asked.tolist()], choose.targets, seed),
    )  # fmt: skip


def cut(sequences: Sequence[Past], times: Sequence[Times], quantile: float) -> Cut:
    """Cut at a quantile of all times; an event at that very moment is after it. Who never came before is left out."""
    at = float(np.quantile(np.concatenate(times), quantile))
    ends = np.array([np.searchsorted(mine, at) for mine in times])
    came = np.nonzero(ends)[0].tolist()
    pasts = [sequences[i][: ends[i]] for i in came]
    nexts = np.array([_first_new(sequences[i], int(ends[i])) for i in came], np.int64)
    asked = np.nonzero(nexts >= 0)[0]
    targets = np.array([sequences[came[i]][nexts[i]] for i in asked.tolist()], np.int32)
    return Cut(at, came, pasts, [times[i][: ends[i]] for i in came], asked, targets)


def _visits_until(log: Log, test: Cut) -> list[Visits]:
    """How the pasts came about."""
    return [log.visits[i][: len(past)] for i, past in zip(test.came, test.pasts, strict=True)]


def _since(log: Log, at: float) -> NDArray[np.int64]:
    """Where in the log the events are from the cut on."""
    return np.nonzero([event.time_ms >= at * 1000 for event in log.source.events])[0]


def _first_new(sequence: Past, end: int) -> int:
    """Where the first item from ``end`` on is that is not before it; -1 where there is none."""
    new = np.nonzero(~np.isin(sequence[end:], sequence[:end]))[0]
    return end + int(new[0]) if len(new) else -1
