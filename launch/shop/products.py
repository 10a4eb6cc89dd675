"""The simulated shop's products, made from ``range.toml`` and a seed.

Texts say what a product is (department, shelf, style, material, use, price level), so that taste can be read from
them. What cannot be read is ``Traits.quality``: how much everybody likes it, which only behaviour shows.
"""

from importlib.resources import files
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.random import Generator
from numpy.typing import NDArray

from contracts.messages import CatalogueItem
from contracts.profile import DAY_MS

OPENED_MS = 1_764_547_200_000  # 2025-12-01: what the shop opened with was added before, the rest since
VARIANTS = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)  # one product in ten comes in three colours

Codes = NDArray[np.int64]
Scores = NDArray[np.float64]


class Style(Struct, frozen=True):
    """A look that runs through all departments, and the words that describe it."""

    name: str
    words: str


class Leaf(Struct, frozen=True):
    """A narrowest category: what its products are called, cost (middle), and are for."""

    path: tuple[str, ...]
    nouns: tuple[str, ...]
    price: float
    uses: tuple[str, ...]


class Department(Struct, frozen=True):
    """A widest category with its brands and materials."""

    name: str
    brands: tuple[str, ...]
    materials: tuple[str, ...]
    leaves: tuple[Leaf, ...]


class Range(Struct, frozen=True):
    """The whole of ``range.toml``."""

    each: int
    styles: tuple[Style, ...]
    colours: tuple[str, ...]
    tiers: tuple[str, ...]
    departments: tuple[Department, ...]


class Traits(NamedTuple):
    """What a shopper's taste is about, one entry a product: codes, ``tier`` 0..1 (cheap to dear for its kind)."""

    department: Codes
    leaf: Codes
    style: Codes
    brand: Codes
    tier: Scores
    quality: Scores


class Trait(NamedTuple):
    """One product's entry of ``Traits``."""

    department: int
    leaf: int
    style: int
    brand: int
    tier: float
    quality: float


class Shelf(NamedTuple):
    """One narrowest category with the department it is in, and both codes."""

    department: Department
    leaf: Leaf
    department_code: int
    leaf_code: int


def load_range() -> Range:
    """The range that ships with daogou."""
    return msgspec.toml.decode((files("launch.shop") / "range.toml").read_bytes(), type=Range)


def shelves_of(offer: Range) -> tuple[Shelf, ...]:
    """All narrowest categories, in the range's order; a leaf's code is its place here."""
    pairs = [
        (code, department, leaf) for code, department in enumerate(offer.departments) for leaf in department.leaves
    ]
    return tuple(Shelf(department, leaf, code, at) for at, (code, department, leaf) in enumerate(pairs))


def brands_of(offer: Range) -> tuple[str, ...]:
    """All brands; a brand's code is its place here. Some are in several departments."""
    return tuple(dict.fromkeys(brand for department in offer.departments for brand in department.brands))


def make_products(offer: Range, rng: Generator) -> tuple[tuple[CatalogueItem, ...], Traits]:
    """Items and their traits, in one order."""
    items: list[CatalogueItem] = []
    traits: list[Trait] = []
    brands = brands_of(offer)
    for shelf in shelves_of(offer):
        for _ in range(offer.each):
            trait, brand = _draw(offer, shelf, brands, rng)
            variants = _variants(offer, shelf, trait, brand, rng, len(items))
            items.extend(variants)
            traits.extend([trait] * len(variants))
    return tuple(items), Traits(*(np.array(column) for column in zip(*traits, strict=True)))


def _draw(offer: Range, shelf: Shelf, brands: tuple[str, ...], rng: Generator) -> tuple[Trait, str]:
    brand = _pick(shelf.department.brands, rng)
    style = int(rng.integers(len(offer.styles)))
    trait = Trait(shelf.department_code, shelf.leaf_code, style, brands.index(brand), rng.random(), rng.normal())
    return trait, brand


def _variants(
    offer: Range, shelf: Shelf, trait: Trait, brand: str, rng: Generator, first: int
) -> tuple[CatalogueItem, ...]:
    """The product in each of its colours; they share a ``group``."""
    colours = rng.permutation(offer.colours)[: rng.choice(VARIANTS)]
    product = _product(offer, shelf, trait, brand, rng)
    group = f"g{first:04d}" if len(colours) > 1 else None
    return tuple(
        msgspec.structs.replace(
            product,
            item_id=f"p{first + at:04d}",
            title=f"{product.title}, {colour}",
            group=group,
            stock=int(rng.integers(5, 200)),
        )
        for at, colour in enumerate(colours)
    )


def _product(offer: Range, shelf: Shelf, trait: Trait, brand: str, rng: Generator) -> CatalogueItem:
    """One product, but for its id and colour."""
    style = offer.styles[trait.style]
    noun, material = _pick(shelf.leaf.nouns, rng), _pick(shelf.department.materials, rng)
    tier = offer.tiers[min(int(trait.tier * len(offer.tiers)), len(offer.tiers) - 1)]
    return CatalogueItem(
        item_id="p",
        title=f"{brand} {style.name} {material.title()} {noun}",
        description=_description(tier, noun, material, style, _pick(shelf.leaf.uses, rng)),
        category=(shelf.department.name, *shelf.leaf.path),
        brand=brand,
        price=_price(shelf.leaf.price, trait.tier, rng),
        added_ms=OPENED_MS - int(rng.integers(0, 365)) * DAY_MS,
    )


def _description(tier: str, noun: str, material: str, style: Style, use: str) -> str:
    return f"{tier} {noun.lower()} in {material}, made for {use}. {style.name} style: {style.words}."


def _price(middle: float, tier: float, rng: Generator) -> float:
    """Half the middle price to twice, with the tier; ends on .90 or .50 as in shops."""
    exact = middle * float(4.0 ** (tier - 0.5)) * rng.uniform(0.95, 1.05)
    return max(1, round(exact)) - float(rng.choice((0.1, 0.5)))


def _pick(words: tuple[str, ...], rng: Generator) -> str:
    return words[int(rng.integers(len(words)))]
