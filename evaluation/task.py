"""What a protocol asks of every row of its table: what may be learned from, who is asked, what they must find."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.baselines.transitions import Validation
from evaluation.sequences import Log, items_in, leave_one_out
from training.visits import Visits

TUNING_SHOPPERS = 4000

Past = NDArray[np.int32]


class Task(NamedTuple):
    """``pasts``: of all shoppers, all that may be learned from; ``asked`` [B]: who is asked, numbers into ``pasts``.

    ``learned``: how the pasts came about; ``held_out``: where in the log is what nobody may know.
    ``before``: the pasts but for what ``validation`` asks, to choose constants on. ``cold`` [items]: True where an item
    is in no past by the protocol's will; None where there is no such thing.
    """

    protocol: str
    pasts: Sequence[Past]
    learned: Sequence[Visits]
    asked: NDArray[np.int64]
    targets: NDArray[np.int32]
    held_out: NDArray[np.int64]
    before: Sequence[Past]
    validation: Validation
    cold: NDArray[np.bool_] | None = None

    def asking(self) -> Sequence[Past]:
        """The pasts of those who are asked."""
        return [self.pasts[shopper] for shopper in self.asked.tolist()]

    def met_before(self) -> int:
        """How many of those who are asked have the target in their past: seen items are removed, so nobody finds it."""
        return sum(target in past for past, target in zip(self.asking(), self.targets, strict=True))


def last_one(log: Log, seed: int) -> Task:
    """Leave-one-out: the last item is the test, the last but one chooses the constants."""
    split = leave_one_out(log)
    return Task(
        protocol="leave-one-out, full ranking, seen items removed",
        pasts=[items_in(visits) for visits in split.learned], learned=split.learned,
        asked=np.arange(len(split.learned)), targets=split.test, held_out=split.places,
        before=split.pasts, validation=some_of(split.pasts, split.validation, seed),
    )  # fmt: skip


def some_of(pasts: Sequence[Past], targets: NDArray[np.int32], seed: int) -> Validation:
    """The shoppers who choose the constants."""
    some = np.random.default_rng(seed).permutation(len(pasts))[:TUNING_SHOPPERS]
    return Validation([pasts[i] for i in some], targets[some])
