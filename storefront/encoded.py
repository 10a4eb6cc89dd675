"""The stream's slates as JSON: encoded when they are first asked for, and sent as they are from then on."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from contracts.events import ItemId, UserId
from contracts.messages import CatalogueItem, Slate

KEPT = 5_000  # shoppers; an answer has about 8 kB


class Kept(NamedTuple):
    """An answer's bytes, and what it was made of."""

    slate: Slate
    items: tuple[CatalogueItem | None, ...]
    body: bytes


class Encoded:
    """The last answers. ``item`` gives an item as it is now: an answer is good while all of its items are the same."""

    def __init__(self, item: Callable[[ItemId], CatalogueItem | None], most: int = KEPT) -> None:
        self._item, self._most = item, most
        self._kept: OrderedDict[UserId, Kept] = OrderedDict()

    def of(self, slate: Slate, encode: Callable[[Slate], bytes]) -> bytes:
        """The answer for a shopper's newest slate; ``encode`` makes it where it is not kept."""
        items = tuple([self._item(slot.item_id) for slot in slate.items])
        kept = self._kept.pop(slate.user_id, None)
        if kept is None or kept.slate is not slate or kept.items != items:
            kept = Kept(slate, items, encode(slate))
        self._kept[slate.user_id] = kept
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return kept.body
