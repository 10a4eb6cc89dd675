"""How a shopper reads a list: the cascade model (Craswell et al., 2008) with giving up.

From the top down: each item is clicked with its appeal, and then the list is left; after each item that is not
clicked the shopper gives up with ``1 - PATIENCE``. One list, at most one click. All arms of an experiment and
every list of the shop are read so.
"""

from collections.abc import Sequence

from numpy.random import Generator

PATIENCE = 0.92


def first_click(appeals: Sequence[float], rng: Generator, patience: float = PATIENCE) -> int | None:
    """The position that is clicked, from 0; None where none is."""
    for position, appeal in enumerate(appeals):
        if rng.random() < appeal:
            return position
        if rng.random() >= patience:
            return None
    return None


def chance_of_click(appeals: Sequence[float], patience: float = PATIENCE) -> float:
    """The probability that ``first_click`` is not None."""
    reached, clicked = 1.0, 0.0
    for appeal in appeals:
        clicked += reached * appeal
        reached *= (1.0 - appeal) * patience
    return clicked
