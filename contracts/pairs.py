"""What a cross-encoder reads: an item's text, and the texts of what the shopper met. One definition, live and offline.

The item comes first and the newest meeting next, so that a text that is too long loses what is oldest.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from contracts.events import ItemId
from contracts.profile import Profile

HISTORY_ITEMS = 10
BETWEEN = " ; "


class Pair(NamedTuple):
    """Two texts that are read together; ``beside`` is empty where there is but one."""

    text: str
    beside: str = ""


def history_items(profile: Profile, before_ms: int | None = None) -> list[ItemId]:
    """The last distinct items met, newest first; only what was met before ``before_ms``, if it is given."""
    met = zip(reversed(profile.history.items), reversed(profile.history.times_ms), strict=True)
    found = dict.fromkeys(item for item, time in met if before_ms is None or time < before_ms)
    return list(found)[:HISTORY_ITEMS]


def history_text(items: Iterable[ItemId], text_of: Callable[[ItemId], str]) -> str:
    """The texts of items in one; items without words say nothing."""
    return BETWEEN.join(text for text in map(text_of, items) if text)


def inputs_of(pairs: Sequence[Pair]) -> list[str | tuple[str, str]]:
    """As a tokenizer takes them."""
    return [(text, beside) if beside else text for text, beside in pairs]
