"""A log of ratings -> what the cross-encoder learns from: an item's text, the texts of what its shopper met, the stars.

The log is folded in the order of time by the very fold that serves, so a history is what the profile held then. What a
shopper met at the very time of the rating is no history: it is often the same review, under several items.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from contracts.events import AnyEvent, ItemId, Review, UserId
from contracts.items import text_of
from contracts.messages import CatalogueItem
from contracts.pairs import Pair, history_items, history_text
from contracts.profile import Position, Profile, apply
from training.labelled import by_time
from training.stored_events import stored

SAID = 3  # of the words said of an item that has no text of its own
LONGEST = 160  # characters of one of them


class Rated(NamedTuple):
    """One rating and what was known before it. ``review``: the same words at the same time are one review."""

    user_id: UserId
    item_id: ItemId
    time_ms: int
    stars: float
    pair: Pair
    review: str


class RatedParts(NamedTuple):
    """Learned from, chosen on, measured on: in the order of time."""

    learn: list[Rated]
    choose: list[Rated]
    test: list[Rated]


def without_repeats(events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
    """The same review of the same item by the same shopper at the same time, once."""
    seen: set[tuple[object, ...]] = set()
    for event in events:
        if isinstance(event, Review):
            key = (event.user_id, event.item_id, event.time_ms, event.rating, event.text)
            if key in seen:
                continue
            seen.add(key)
        yield event


def split_rated(events: Iterable[AnyEvent], items: Iterable[CatalogueItem]) -> RatedParts:
    """Every rating with its pair, split by time."""
    kept = stored(without_repeats(events))
    times = [event.time_ms for event in kept if isinstance(event, Review) and event.rating is not None]
    learn, _, _ = by_time(times, times)
    texts = Texts(items, learn[-1] if learn else 0)
    found = list(_rated(kept, texts))
    return RatedParts(*by_time(found, [each.time_ms for each in found]))


class Texts:
    """An item's own text; for one that has none, the last words said of it before a time, and before ``until_ms``.

    Words that come after those that are learned from are never read: nobody could have known them.
    """

    def __init__(self, items: Iterable[CatalogueItem], until_ms: int) -> None:
        self._own = {ItemId(item.item_id): text_of(item) for item in items}
        self._said: defaultdict[ItemId, list[tuple[int, str]]] = defaultdict(list)
        self._until_ms = until_ms

    def hear(self, event: AnyEvent) -> None:
        """Remember what a review says."""
        if isinstance(event, Review) and event.text and event.time_ms <= self._until_ms:
            self._said[ItemId(event.item_id)].append((event.time_ms, event.text[:LONGEST]))

    def before(self, time_ms: int) -> Callable[[ItemId], str]:
        """Texts of items as of then."""

        def text(item_id: ItemId) -> str:
            said = [words for at, words in self._said[item_id][-50:] if at < time_ms]
            return self._own.get(item_id) or ". ".join(dict.fromkeys(reversed(said[-SAID:])))

        return text


def _rated(events: Iterable[AnyEvent], texts: Texts) -> Iterator[Rated]:
    profiles: dict[UserId, Profile] = {}
    for offset, event in enumerate(events):
        user = UserId(event.user_id)
        profile = profiles.get(user) or Profile(user)
        if isinstance(event, Review) and event.rating is not None:
            text = texts.before(event.time_ms)
            beside = history_text(history_items(profile, event.time_ms), text)
            review = f"{user}\0{event.time_ms}\0{event.text}"
            item = ItemId(event.item_id)
            yield Rated(user, item, event.time_ms, event.rating, Pair(text(item), beside), review)
        texts.hear(event)
        profiles[user] = apply(profile, Position("", 0, offset), event).profile
