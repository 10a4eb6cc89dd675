"""What is said where a catalogue is so small that a list has all of it: then figures say nothing."""

from collections.abc import Sequence


def too_small(what: str, count: int, lengths: Sequence[int]) -> tuple[str, ...]:
    """One warning, naming the ``lengths`` of list that have all of so many items; none where no list has."""
    all_in = [f"{k}" for k in lengths if count <= k]
    if not all_in:
        return ()
    return (f"{count:,} {what} only: a list of {' or '.join(all_in)} has all of them, so those figures say nothing.",)
