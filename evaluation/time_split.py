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

QUANTILE = 0.8

Times = NDArray[np.float64]


class Cut(NamedTuple):
    """``pasts`` and ``times`` of all who came before ``at``; ``asked`` [B] of them, who took ``targets`` [B] after."""

    at: float
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
        pasts=test.pasts, asked=test.asked, targets=test.targets, before=choose.pasts,
        validation=some_of([choose.pasts[i] for i in choose.asked.tolist()], choose.targets, seed),
    )  # fmt: skip


def cut(sequences: Sequence[Past], times: Sequence[Times], quantile: float) -> Cut:
    """Cut at a quantile of all times; an event at that very moment is after it. Who never came before is left out."""
    at = float(np.quantile(np.concatenate(times), quantile))
    ends = np.array([np.searchsorted(mine, at) for mine in times])
    came = np.nonzero(ends)[0].tolist()
    pasts = [sequences[i][: ends[i]] for i in came]
    nexts = np.array([_first_new(sequences[i], int(ends[i])) for i in came], np.int32)
    asked = np.nonzero(nexts >= 0)[0]
    return Cut(at, pasts, [times[i][: ends[i]] for i in came], asked, nexts[asked])


def _first_new(sequence: Past, end: int) -> int:
    """The first item from ``end`` on that is not before it; -1 where there is none."""
    new = np.nonzero(~np.isin(sequence[end:], sequence[:end]))[0]
    return int(sequence[end + new[0]]) if len(new) else -1
