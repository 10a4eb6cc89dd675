"""Cold items: some items are taken out of all that is learned from, and who took one last must be shown it.

A seeded share of the items that anybody took becomes cold: every event of theirs is removed from every past, their
text stays in the catalogue. Shoppers whose last item is cold are asked. Constants are chosen on warm items as for
leave-one-out, so nothing learns which items will be cold.
"""

import gzip
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from contracts.errors import Reason, Unacceptable
from evaluation.sequences import Log, leave_one_out
from evaluation.task import Past, Task, some_of

SHARE = 0.05


class _Item(Struct, frozen=True):
    """Which item a line of either file is about."""

    item_id: str


_ITEM = msgspec.json.Decoder(_Item)


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
    pasts = [_warm(np.append(past, item), cold) for past, item in zip(split.pasts, split.validation, strict=True)]
    asked = np.nonzero(cold[split.test])[0]
    if not len(asked):
        raise Unacceptable(Reason.EMPTY, f"{log.name}: nobody's last item is among the {cold.sum()} cold ones")
    warm = np.nonzero(~cold[split.validation])[0]
    return Task(
        protocol=f"cold items: {share:.0%} of items in no past, the last item is one of them, full ranking",
        pasts=pasts, asked=asked, targets=split.test[asked], before=before, cold=cold,
        validation=some_of([before[i] for i in warm], split.validation[warm], seed),
    )  # fmt: skip


def _warm(past: Past, cold: NDArray[np.bool_]) -> Past:
    return past[~cold[past]].astype(np.int32)


def write_training(folder: Path, log: Log, cold: NDArray[np.bool_], to: Path) -> None:
    """The set without the cold items and their events, to train a bundle on: ``daogou train TO --hold-back 1``."""
    to.mkdir(parents=True, exist_ok=True)
    out = {item for item, is_cold in zip(log.items, cold, strict=True) if is_cold}
    for name in ("events.jsonl.gz", "items.jsonl.gz"):
        if (folder / name).exists():
            with gzip.open(folder / name, "rb") as lines, gzip.open(to / name, "wb") as kept:
                kept.writelines(line for line in lines if _ITEM.decode(line).item_id not in out)
