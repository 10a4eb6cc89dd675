"""Examples on disk, a file for each batch of the replay, so that memory does not grow with the log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from contracts.features import Histories
from contracts.items import Floats
from training.lists import Examples

LEARN, CHECK = "learn", "check"


def write_chunks(batches: Iterable[tuple[bool, Examples]], folder: Path, wrote: Callable[[int], None]) -> None:
    """One file a batch, its number and its length in its name; those that judge lie apart from those that teach.

    ``wrote`` hears how many examples are written.
    """
    count = 0
    for part in (LEARN, CHECK):
        (folder / part).mkdir()
    for number, (check, batch) in enumerate(batches):
        flat = {**batch.history._asdict(), **batch._asdict()}
        del flat["history"]
        np.savez(folder / (CHECK if check else LEARN) / f"{number:06d}-{len(batch.heads)}.npz", **flat)
        count += len(batch.heads)
        wrote(count)


class Chunks(Sequence[Examples]):
    """The batches of a folder in their order, each read when it is asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    @classmethod
    def of(cls, folder: Path) -> "Chunks":
        """All that ``write_chunks`` wrote into one of its folders."""
        return cls(sorted(folder.glob("*.npz")))

    @property
    def lengths(self) -> list[int]:
        """Examples in each batch."""
        return [int(path.stem.split("-")[1]) for path in self._paths]

    def outcomes(self) -> Iterator[Floats]:
        """Of each batch what came of its answers, and nothing else of it read."""
        for path in self._paths:
            with np.load(path, allow_pickle=False) as found:
                yield found["outcomes"]

    def __add__(self, others: "Chunks") -> "Chunks":
        return Chunks([*self._paths, *others._paths])

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, at: int) -> Examples: ...
    @overload
    def __getitem__(self, at: slice) -> "Chunks": ...
    def __getitem__(self, at: int | slice) -> "Examples | Chunks":
        return Chunks(self._paths[at]) if isinstance(at, slice) else _read(self._paths[at])

    def __iter__(self) -> Iterator[Examples]:
        return map(_read, self._paths)


def _read(path: Path) -> Examples:
    with np.load(path, allow_pickle=False) as found:
        history = Histories(*(found[name] for name in Histories._fields))
        rest = {name: found[name] for name in Examples._fields if name != "history"}
    return Examples(history=history, **rest)
