"""Whether the machine has the memory that a training will need: foreseen from counts, before an hour is spent.

A rough estimate, by what grows with items, shoppers and events, and by what is judged at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from contracts.errors import EnvironmentRefused
from contracts.profile import HISTORY
from training.config import Plan
from training.log import Log

FLOAT = 4
BASE = 600_000_000  # the process with PyTorch
ITEM = 2_000  # an item's words, terms, counts and its object
SHOPPER, EVENT = 1_500, 100  # a profile; an event of it, as long as it is remembered. The log itself is on disk
PAIR, PAIRS = 100, 7  # two items that go together, in the counts; so many of them one event is the first to show
JUDGED = 256  # examples that are judged at once,
CELLS = 1 << 24  # and of them x items so many that are scored and compared at once,
CELL = 20  # in so many bytes each: the score, what it is sorted by, its place
COPIES = 4  # of the texts' vectors: the encoder's, the table's two, the one that is trained with
STATES = (
    7  # of what is trained: itself, its gradient, two moments, the best, what is saved, what all items are put into
)
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


class Need(NamedTuple):
    """A part of what is needed, in bytes."""

    what: str
    size: int


def needs(log: Log, plan: Plan, text_dim: int) -> tuple[Need, ...]:
    """What the training of ``log`` will need beside what the process has read already.

    Of events, measured (foreseen): 97,381 of 2,174 shoppers, by time, 85 MB (81); leave-one-out, 228,672 of 3,281,
    127 MB (188), 176,139 of 22,363, 122 MB (174). The longer a log, the more of its pairs were met before.
    """
    items, delta = len(log.items), plan.ranker.delta_dim
    profiles = log.shoppers * SHOPPER + min(len(log.events), log.shoppers * HISTORY) * EVENT
    counts = min(len(log.events) * PAIRS, items * items) * PAIR
    return (
        Need("the program", BASE),
        Need(f"{items:,} items", items * (ITEM + FLOAT * (COPIES * text_dim + STATES * delta))),
        Need(f"{len(log.events):,} events of {log.shoppers:,} shoppers", profiles + counts),
        Need("scoring all items", min(JUDGED * items, max(CELLS, items)) * CELL),
    )


def whole_of(needed: Sequence[Need]) -> int:
    """Bytes of all parts."""
    return sum(need.size for need in needed)


def check_memory(needed: Sequence[Need], available: int | None, less: str) -> None:
    """``available`` None: nobody knows. ``less``: what the caller can take instead, in words.

    Raises: EnvironmentRefused, where less is available than is needed.
    """
    whole = whole_of(needed)
    if available is None or whole <= available:
        return
    parts = ", ".join(f"{need.what} {_gigabytes(need.size)}" for need in needed)
    raise EnvironmentRefused(
        f"the training needs about {_gigabytes(whole)} of memory and {_gigabytes(available)} are free ({parts}): "
        f"take {less} or a larger machine; --any-memory tries it all the same"
    )


def available_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Bytes that can be had without swapping, of the machine and of the container; None where nobody says."""
    found = [left for left in (_of_machine(meminfo), _of_container(cgroup)) if left is not None]
    return min(found, default=None)


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _of_container(cgroup: Path) -> int | None:
    """By control groups, version 2. Files that are read back count as free."""
    try:
        most, now = (cgroup / "memory.max").read_text().strip(), int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return int(most) - now + int(stat.get("inactive_file", 0)) if most.isdecimal() else None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
