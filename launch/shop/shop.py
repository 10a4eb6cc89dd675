"""The shop itself: what is on its shelves, and what its search and its category pages show."""

from functools import cached_property

import numpy as np
from msgspec.structs import replace
from numpy.random import Generator
from numpy.typing import NDArray

from contracts.events import ItemId
from contracts.messages import CatalogueItem
from launch.shop.products import (
    OPENED_MS,
    Range,
    Shelf,
    Traits,
    brands_of,
    load_range,
    make_products,
    shelves_of,
)
from launch.shop.tastes import Sizes

LIST_SIZE = 10

Rows = NDArray[np.int64]


class Shop:
    """A range of products with their hidden traits. ``Shop.make(seed)`` gives the same shop for the same seed."""

    def __init__(self, offer: Range, items: tuple[CatalogueItem, ...], traits: Traits) -> None:
        self.offer, self.items, self.traits = offer, items, traits
        self.row_of = {ItemId(item.item_id): row for row, item in enumerate(items)}

    @classmethod
    def make(cls, seed: int, opened_ms: int = OPENED_MS) -> "Shop":
        """The shop of a seed, its products added in the year before ``opened_ms`` (Unix milliseconds)."""
        offer = load_range()
        items, traits = make_products(offer, np.random.default_rng([seed, 1]))
        shift = opened_ms - OPENED_MS
        return cls(offer, tuple(replace(i, added_ms=(i.added_ms or 0) + shift) for i in items), traits)

    @cached_property
    def shelves(self) -> tuple[Shelf, ...]:
        """The narrowest categories by their code."""
        return shelves_of(self.offer)

    @cached_property
    def sizes(self) -> Sizes:
        """How many of everything a taste is about."""
        offer = self.offer
        return Sizes(len(offer.departments), len(self.shelves), len(offer.styles), len(brands_of(offer)))

    @cached_property
    def leaves_of(self) -> tuple[Rows, ...]:
        """The leaves of each department."""
        departments = np.array([shelf.department_code for shelf in self.shelves])
        return tuple(np.flatnonzero(departments == code) for code in range(len(self.offer.departments)))

    def ids(self, rows: Rows) -> tuple[ItemId, ...]:
        """The ids of the items in these rows."""
        return tuple(ItemId(self.items[row].item_id) for row in rows)

    def rows(self, items: tuple[ItemId, ...]) -> Rows:
        """The rows of items; unknown ones are left out."""
        return np.array([self.row_of[item] for item in items if item in self.row_of], np.int64)

    def category_page(self, leaf: int, rng: Generator, size: int = LIST_SIZE) -> Rows:
        """A page of the leaf's products: the well-liked ones first, more or less."""
        rows = np.flatnonzero(self.traits.leaf == leaf)
        return _best(rows, self.traits.quality[rows] + rng.gumbel(0.0, 1.0, len(rows)), size)

    def search_page(self, leaf: int, style: int, rng: Generator, size: int = LIST_SIZE) -> Rows:
        """What the shop's search finds for a style and a kind of product: the right style first."""
        rows = np.flatnonzero(self.traits.leaf == leaf)
        return _best(rows, 3.0 * (self.traits.style[rows] == style) + rng.gumbel(0.0, 1.0, len(rows)), size)

    def query(self, leaf: int, style: int, rng: Generator) -> str:
        """The words somebody types who looks for a kind of product in a style."""
        nouns = self.shelves[leaf].leaf.nouns
        return f"{self.offer.styles[style].name} {nouns[rng.integers(len(nouns))]}".lower()


def _best(rows: Rows, scores: NDArray[np.float64], size: int) -> Rows:
    return rows[np.argsort(-scores, kind="stable")[:size]]
