"""Runs: lists of many lengths that lie end to end in one array."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


def numbers_of_runs(starts: Integers, lengths: Integers) -> Integers:
    """[C]: ``start``, ``start + 1``, ... of each run, end to end."""
    ends = np.cumsum(lengths)
    first = np.repeat(starts - (ends - lengths), lengths)
    return np.asarray(first + np.arange(len(first)), np.int64)


def sums_of_runs(values: NDArray[Number], lengths: Integers) -> NDArray[Number]:
    """[M]: the sum of each run of ``values`` [C]; 0 of an empty one."""
    sums = np.zeros(len(lengths), values.dtype)
    filled = np.flatnonzero(lengths)
    if len(filled):
        sums[filled] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[filled])
    return sums
