"""How much of a correction is kept: all, a part, or nothing, whichever validation cannot tell from the best.

The one-standard-error rule (Breiman et al., 1984): of all shares the least whose loss is within one standard error of
the best one's. So a correction that is better by chance alone is dropped, and what it corrects is never made worse
than validation can see.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SHARES = tuple(share / 20 for share in range(21))

Numbers = NDArray[np.float64]


def kept_share(losses: Callable[[float], Numbers], witnesses: NDArray[np.int64]) -> float:
    """The share in 0..1. ``losses(share)`` [n]: of each example; ``witnesses`` [n]: those of one number are one."""
    tried = [losses(share) for share in SHARES]
    best = min(tried, key=lambda found: float(found.mean()))
    return next(share for share, found in zip(SHARES, tried, strict=True) if _alike(found - best, witnesses))


def _alike(excess: Numbers, witnesses: NDArray[np.int64]) -> bool:
    """Whether the mean is within one standard error of 0; examples of one witness stand or fall together."""
    sums = np.bincount(witnesses, excess - excess.mean())
    return float(excess.mean()) <= float(np.sqrt((sums**2).sum())) / len(excess)
