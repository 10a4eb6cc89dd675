"""What a training says while it works: lines that stay, and how far it is with what takes long."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Say = Callable[[str], None]
#: Hears what is being done, how much of it is done, and how much there is.
Step = Callable[[str, int, int], None]

T = TypeVar("T")


def silent(what: str, done: int, of: int) -> None:
    """A ``Step`` that nobody hears."""


def stepping(batches: Sequence[T], what: str, step: Step) -> Iterator[T]:
    """All batches; ``step`` hears of each that is done."""
    for done, batch in enumerate(batches, 1):
        yield batch
        step(what, done, len(batches))
