"""Cold items: some items are taken out of all that is learned from, and who took one last must be shown it.

A seeded share of the items that anybody took becomes cold: every event of theirs is removed from every past, their
text stays in the catalogue. Shoppers whose last item is cold are asked. Constants are chosen on warm items as for
leave-one-out, so nothing learns which items will be cold.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.errors import Reason, Unacceptable
from contracts.events import items_of
from evaluation.sequences import Log, items_in, leave_one_out
from evaluation.task import Past, Task, some_of
from training.visits import Visits

SHARE = 0.05


def cold_items(log: Log, seed: int, share: float = SHARE) -> NDArray[np.bool_]:
    """[items]: True for the drawn share of the items that occur."""
    taken = np.unique(np.concatenate(log.sequences))
    drawn = np.random.default_rng(seed).permutation(taken)[: round(share * len(taken))]
    cold = np.zeros(len(log.items), bool)
    cold[drawn] = True
    return cold


def cold_ones(log: Log, seed: int, share: float = SHARE) -> Task:
    """The task. Raises: Unacceptable, where nobody's last item is cold."""
    split, cold = leave_one_out(log), cold_items(log, seed, share)
    before = [_warm(past, cold) for past in split.pasts]
    learned = [_warm_visits(visits, cold) for visits in split.learned]
    asked = np.nonzero(cold[split.test])[0]
    if not len(asked):
        raise Unacceptable(Reason.EMPTY, f"{log.name}: nobody's last item is among the {cold.sum()} cold ones")
    warm = np.nonzero(~cold[split.validation])[0]
    return Task(
        protocol=f"cold items: {share:.0%} of items in no past, the last item is one of them, full ranking",
        pasts=[items_in(visits) for visits in learned], learned=learned, asked=asked, targets=split.test[asked],
        held_out=_named(log, cold), before=before, cold=cold,
        validation=some_of([before[i] for i in warm], split.validation[warm], seed),
    )  # fmt: skip


def _named(log: Log, cold: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where in the log the events are that name a cold item."""
    names = {item for item, is_cold in zip(log.items, cold.tolist(), strict=True) if is_cold}
    return np.array([place for place, e in enumerate(log.source.events) if not names.isdisjoint(items_of(e))], np.int64)


def _warm(past: Past, cold: NDArray[np.bool_]) -> Past:
    return past[~cold[past]].astype(np.int32)


def _warm_visits(visits: Visits, cold: NDArray[np.bool_]) -> Visits:
    return tuple(visit for visit in visits if not cold[visit.item])
