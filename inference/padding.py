"""Inputs of a forward padded to one of few shapes, and its output cut back to what was asked.

A GPU's runtime plans and allocates for each shape when it first meets it: few shapes can all be met beforehand. What
is added changes an answer by rounding alone: history of kind 0 before the oldest event, candidates and tokens of zeros
after the last, and shoppers or texts that are the last one again, which no more have NaN than that one has.
"""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Arrays = Mapping[str, Array]

#: How long each axis is, by its name; as limits: the most of it that serving meets.
Sizes = Mapping[str, int]

#: The axes of an input that vary, its first two; further ones are the model's own.
AXES = {
    "history_vectors": ("shoppers", "history"),
    "history_kinds": ("shoppers", "history"),
    "history_gaps": ("shoppers", "history"),
    "candidate_vectors": ("shoppers", "candidates"),
    "candidate_features": ("shoppers", "candidates"),
    "input_ids": ("texts", "tokens"),
    "attention_mask": ("texts", "tokens"),
    "gram_ids": ("texts", "ngrams"),
    "gram_weights": ("texts", "ngrams"),
}
OUTPUTS = {"query": ("shoppers",), "logits": ("shoppers", "candidates"), "vectors": ("texts",), "scores": ("texts",)}
LEFT = {"history"}  # its newest is last

#: Where doubling begins: so little work that a GPU's time is that of starting it, however much less there is.
FLOORS = {"shoppers": 8, "texts": 8, "history": 32, "candidates": 64, "tokens": 32, "ngrams": 512}


def sizes_of(inputs: Arrays) -> dict[str, int]:
    """The size of each axis. Raises: ValueError, where two inputs differ in one or lack it."""
    sizes: dict[str, int] = {}
    for name, array in inputs.items():
        for axis, size in zip(AXES[name], array.shape[:2], strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"{name} has {size} {axis} where others have {sizes[axis]}")
    return sizes


def padded_size(axis: str, size: int, limits: Sizes) -> int:
    """The next power of two, but no more than the axis's limit: a model may not take more. Beyond it: as it is."""
    doubled = max(FLOORS[axis], 1 << (size - 1).bit_length())
    return max(size, min(doubled, limits.get(axis, doubled)))


def pad(inputs: Arrays, limits: Sizes) -> dict[str, Array]:
    """The same inputs in one of few shapes. Raises: ValueError, see ``sizes_of``."""
    wanted = {axis: padded_size(axis, size, limits) for axis, size in sizes_of(inputs).items()}
    return {name: _padded(array, *AXES[name], wanted) for name, array in inputs.items()}


def _padded(array: Array, first: str, second: str, wanted: Sizes) -> Array:
    rows, columns = array.shape[:2]
    if (rows, columns) == (wanted[first], wanted[second]):
        return array
    # Not np.zeros: zeroing what is then written over costs a large batch as much as the copy.
    whole = np.empty((wanted[first], wanted[second], *array.shape[2:]), array.dtype)
    start = wanted[second] - columns if second in LEFT else 0
    whole[:rows, :start], whole[:rows, start + columns :] = 0, 0
    whole[:rows, start : start + columns] = array
    whole[rows:] = whole[rows - 1] if rows else 0
    return whole


def cut(found: Array, output: str, sizes: Sizes) -> Array:
    """An output's own part: of what was asked, without what was added."""
    return found[tuple(slice(sizes[axis]) for axis in OUTPUTS[output])]


def shapes(limits: Sizes) -> Iterator[dict[str, int]]:
    """All that ``pad`` makes of sizes from 1 to the limits, over the axes that have one."""
    each = [sorted({padded_size(axis, size, limits) for size in range(1, most + 1)}) for axis, most in limits.items()]
    return (dict(zip(limits, sizes, strict=True)) for sizes in product(*each))
