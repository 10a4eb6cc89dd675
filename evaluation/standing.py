"""Where the target of a turn stands in what each model says, from what the live loop knows at that moment.

Shapes: B turns, L last items. Rows are rows of the ``ItemTable``; ``targets`` [B] int32, -1 where the catalogue does
not have the item. Ranks are int64, 0 is best. The baselines rank the whole catalogue, ties against us, without the
item that the shopper is on as far as is known (it can be no turn; the engine's own filter takes it out as well).
"""

from collections.abc import Sequence
from itertools import starmap

import numpy as np

from contracts.events import ItemId
from contracts.items import Floats, Rows
from contracts.messages import Slate
from contracts.statistics import Scores, Statistics, kernel, look_up
from evaluation.metrics import Ranks

#: The rank of what is not found at all.
MISSED = 2**31 - 1


def in_slates(slates: Sequence[Slate], targets: Sequence[ItemId]) -> Ranks:
    """[B]: the slot of each target in its slate."""
    return np.array(list(starmap(_slot, zip(slates, targets, strict=True))), np.int64)


def _slot(slate: Slate, target: ItemId) -> int:
    return next((slot for slot, each in enumerate(slate.items) if each.item_id == target), MISSED)


def by_counts(statistics: Statistics, recent: Rows, nows_ms: Ranks, targets: Rows) -> Ranks:
    """[B]: by what follows the last items ``recent`` [B, L], newest first: the live count model, alone.

    An item that follows none of them scores 0 like almost all others, and is missed.
    """
    table = statistics.table
    keys, scores = statistics.followers(recent, kernel(recent.shape[1]), nows_ms)
    shopper = keys // max(1, len(table))
    ranked = keys != table.keys(recent[:, :1])[shopper, 0]
    mine = look_up(keys[ranked], scores[ranked], table.keys(targets[:, None])[:, 0])
    before = np.bincount(shopper[ranked & (scores >= mine[shopper])], minlength=len(targets)) - 1
    return np.where(mine > 0.0, before, MISSED).astype(np.int64)


def by_trend(statistics: Statistics, recent: Rows, targets: Rows) -> Ranks:
    """[B]: by the decayed counts of all shoppers, the same for everybody."""
    trend = statistics.trending()
    pairs = zip(targets.tolist(), recent[:, 0].tolist(), strict=True)
    return np.array([_place(trend, target, on) for target, on in pairs], np.int64)


def _place(trend: Scores | Floats, target: int, on: int) -> int:
    if target in (on, -1) or trend[target] <= 0.0:
        return MISSED
    better = trend >= trend[target]
    return int(np.count_nonzero(better)) - 1 - int(on >= 0 and better[on])
