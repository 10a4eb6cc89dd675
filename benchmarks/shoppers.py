"""A catalogue of any size and shoppers with a past, for the benchmarks: fixed by a seed, learned from in bulk."""

from collections.abc import Iterator, Sequence

import numpy as np

from contracts.bundle import Bundle
from contracts.events import EventId, ItemId, UserId
from contracts.messages import CatalogueItem, Embedding, Trigger
from contracts.profile import Bought, History, Profile
from inference.ask import Ask
from inference.engine import Engine

NOW_MS = 1_767_225_600_000
DAY_MS = 86_400_000
WORDS = (
    "light", "trail", "wool", "green", "tea", "lamp", "desk", "shoe", "boot", "camp", "city", "rain", "oak", "steel",
    "soft", "warm", "dry", "red", "small", "wide",
)  # fmt: skip


def items(count: int) -> Iterator[CatalogueItem]:
    """``count`` items in 240 narrow categories, with descriptions of about 300 characters."""
    rng = np.random.default_rng(0)
    for number in range(count):
        words = [WORDS[w] for w in rng.integers(0, len(WORDS), 60)]
        yield CatalogueItem(
            item_id=f"item-{number}",
            title=" ".join(words[:5]),
            description=" ".join(words),
            category=("shop", f"floor {number % 12}", f"shelf {number % 240}"),
            brand=f"brand {number % 97}",
            price=5.0 + number % 200,
            stock=number % 50,
            added_ms=NOW_MS - int(rng.integers(0, 400)) * DAY_MS,
        )


def vectors(bundle: Bundle, count: int, text_dim: int) -> Iterator[Embedding]:
    """Random vectors as the encoder's topic would bring them: encoding is not what is measured."""
    rng = np.random.default_rng(1)
    for number in range(count):
        vector = rng.normal(size=text_dim).astype("<f2").tobytes()
        yield Embedding(item_id=f"item-{number}", bundle=bundle.digest, text_digest="", vector=vector)


def teach(engine: Engine, count: int) -> None:
    """20 followers for each item, and a trend."""
    rng = np.random.default_rng(2)
    statistics = engine.statistics
    statistics.put_followers(
        (ItemId(f"item-{number}"), [(ItemId(f"item-{o}"), 2.0 ** (30 + o % 7)) for o in rng.integers(0, count, 20)])
        for number in range(count)
    )
    statistics.put_trend(((ItemId(f"item-{n}"), 2.0 ** (25 + n % 17)) for n in range(count)), NOW_MS)


def asks(shoppers: int, count: int) -> Sequence[Ask]:
    """One ask each of shoppers with 60 past events over ``count`` items."""
    rng = np.random.default_rng(3)
    return [_ask(rng, number, count) for number in range(shoppers)]


def _ask(rng: np.random.Generator, number: int, count: int) -> Ask:
    seen = tuple(ItemId(f"item-{i}") for i in rng.integers(0, count, 60))
    times = tuple(NOW_MS - 60_000 * (60 - n) for n in range(60))
    profile = Profile(
        UserId(f"shopper-{number}"),
        version=60,
        history=History(seen, (3,) * 60, times),
        shown=seen[:40],
        bought=Bought(seen[:3], (NOW_MS - 30 * DAY_MS,) * 3, (1, 2, 1)),
    )
    return Ask(profile, Trigger(event_id=EventId(f"e{number}"), topic="t", partition=0, offset=0, time_ms=NOW_MS))
