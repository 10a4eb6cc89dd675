"""Values in batches, in an order that a seed draws."""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

BATCH = 64
WINDOW = 32  # batches among which values of like length are put together

T = TypeVar("T")


def batches(values: Sequence[T], seed: int) -> list[list[T]]:
    """All values in an order drawn by ``seed``, ``BATCH`` at a time."""
    shuffled = list(values)
    random.Random(seed).shuffle(shuffled)
    return [shuffled[i : i + BATCH] for i in range(0, len(shuffled), BATCH)]


def even_batches(values: Sequence[T], size: int, seed: int, length: Callable[[T], int]) -> list[list[T]]:
    """All values in an order drawn by ``seed``, like lengths together so that little is padding."""
    shuffled = [value for batch in batches(values, seed) for value in batch]
    found: list[list[T]] = []
    for at in range(0, len(shuffled), WINDOW * size):
        window = sorted(shuffled[at : at + WINDOW * size], key=length)
        found.extend(window[i : i + size] for i in range(0, len(window), size))
    return [batch for some in batches(found, seed + 1) for batch in some]
