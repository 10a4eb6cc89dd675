"""One shopper's story: what they did last, what they see now, and why."""

from collections import deque

from contracts.events import (
    AnyEvent,
    CartAdd,
    Click,
    Hide,
    Impression,
    ItemEvent,
    ItemId,
    Purchase,
    Search,
    UserId,
    View,
)
from launch.demo.plan import DAOGOU, arm_of
from launch.demo.traffic import Homes
from launch.shop.shop import Shop

DEEDS = 6
SLOTS = 5

_VERBS: dict[type[ItemEvent], str] = {Click: "clicked", View: "read about", CartAdd: "put into the cart", Hide: "hid"}


class Story:
    """Follows the first shopper of daogou's arm who clicks on a slate."""

    def __init__(self, shop: Shop, homes: Homes) -> None:
        self._shop, self._homes = shop, homes
        self._deeds: deque[str] = deque(maxlen=DEEDS)
        self.hero = ""

    def witness(self, event: AnyEvent) -> None:
        """See an event go by."""
        if (
            not self.hero
            and isinstance(event, Click)
            and event.recommendation_id
            and arm_of(UserId(event.user_id)) == DAOGOU
        ):
            self.hero = event.user_id
        if event.user_id == self.hero and (deed := self._deed(event)):
            self._deeds.append(deed)

    @property
    def deeds(self) -> tuple[str, ...]:
        """What the shopper did last, the latest at the end."""
        return tuple(self._deeds)

    @property
    def sees(self) -> tuple[tuple[str, str], ...]:
        """The first items of the shopper's slate: title and reason."""
        slate = self._homes.slates.get(UserId(self.hero))
        return tuple((self._title(item.item_id), item.reason) for item in slate.items[:SLOTS]) if slate else ()

    def _deed(self, event: AnyEvent) -> str:
        match event:
            case Search(query=query):
                return f"searched for “{query}”"
            case Purchase(lines=lines):
                return "bought " + ", ".join(self._title(ItemId(line.item_id)) for line in lines)
            case Impression(recommendation_id=receipt):
                return "looked at the slate" if receipt else "looked at the shop's own list"
            case ItemEvent(item_id=item_id):
                return f"{_VERBS[type(event)]} {self._title(ItemId(item_id))}"
            case _:
                return ""

    def _title(self, item_id: ItemId) -> str:
        row = self._shop.row_of.get(item_id)
        return self._shop.items[row].title if row is not None else item_id
