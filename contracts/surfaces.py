"""Surfaces: the lists that a shop shows, each a named list of stages with their settings.

``contracts/surface_file.py`` reads them from TOML, ``inference/stages.py`` builds what runs. To add a stage: a Struct
here, tagged with its name, in its tuple below, and its line in ``inference/stages.py``. A setting that a surface leaves
out is that of ``DAOGOU_ENGINE__*``.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

HOME = "home"
NEXT = "next"

Places = Annotated[int, Meta(ge=1, le=1000)]
Days = Annotated[float, Meta(ge=0, le=3650)]
Part = Annotated[float, Meta(ge=0, le=1)]
Worth = Annotated[float, Meta(ge=0)]
Page = Literal["any", "item", "cart"]


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="name"):
    """One stage of a surface, under the name by which a file calls it."""

    @property
    def name(self) -> str:
        """What a file calls it."""
        return str(self.__struct_config__.tag)


class SourceStage(Stage, frozen=True, kw_only=True):
    """What proposes candidates.

    Sources take turns. ``share``: how often this one's comes, 2 twice as often as 1. ``limit``: its most candidates;
    None: ``per_source`` of the engine's settings.
    """

    share: Annotated[float, Meta(gt=0, le=100)] = 1.0
    limit: Places | None = None


class FollowsStage(SourceStage, frozen=True, kw_only=True, tag="goes-together"):
    """What other shoppers turned to after the last items."""


class PrecedesStage(SourceStage, frozen=True, kw_only=True, tag="goes-before"):
    """What most often led to the last items."""


class WordsStage(SourceStage, frozen=True, kw_only=True, tag="words"):
    """What shares rare words, brand, category or attributes with the last items."""


class RetrievalStage(SourceStage, frozen=True, kw_only=True, tag="retrieval"):
    """What the bundle's model expects next; without a bundle it proposes nothing."""


class SimilarStage(SourceStage, frozen=True, kw_only=True, tag="similar"):
    """What reads like the last items."""


class CategoryStage(SourceStage, frozen=True, kw_only=True, tag="category"):
    """What is popular in the categories of the last items."""


class BuyAgainStage(SourceStage, frozen=True, kw_only=True, tag="buy-again"):
    """What was bought at least ``bought_days`` ago."""

    bought_days: Days | None = None


class NewStage(SourceStage, frozen=True, kw_only=True, tag="new"):
    """The newest items, nearest to the shopper's taste first."""


class TrendingStage(SourceStage, frozen=True, kw_only=True, tag="trending"):
    """What all shoppers like lately."""


class RevisitStage(SourceStage, frozen=True, kw_only=True, tag="revisit"):
    """What the shopper looked at within ``days`` and did not buy."""

    days: Days = 30.0


class FilterStage(Stage, frozen=True, kw_only=True):
    """What takes candidates out."""


class UnavailableStage(FilterStage, frozen=True, kw_only=True, tag="unavailable"):
    """Out of stock, or deleted."""


class MetStage(FilterStage, frozen=True, kw_only=True, tag="met"):
    """What the shopper just met; what was hidden is always out.

    ``seen_window``: so many of the last items met; 1 is the one that the shopper is on, 0 none. ``bought_days``: what
    was bought so lately; 0 is nothing. ``cart``: what lies in the cart.
    """

    seen_window: Annotated[int, Meta(ge=0, le=100)] | None = None
    bought_days: Days | None = None
    cart: bool = True


class WantedStage(FilterStage, frozen=True, kw_only=True, tag="wanted"):
    """What the one who asks leaves out: other categories, other prices, ``exclude``."""


class VariantsStage(FilterStage, frozen=True, kw_only=True, tag="variants"):
    """All but the best placed of a product's variants."""


class ScorerStage(Stage, frozen=True, kw_only=True):
    """What gives candidates their value."""


class ModelStage(ScorerStage, frozen=True, kw_only=True, tag="model"):
    """The model in service; without one, ``blend``. The ranker's heads are weighed by what each is worth."""

    click_value: Worth | None = None
    cart_value: Worth | None = None
    purchase_value: Worth | None = None
    rating_value: Worth | None = None
    return_visit_value: Worth | None = None


class BlendStage(ScorerStage, frozen=True, kw_only=True, tag="blend"):
    """A plain blend of the features, also where there is a model."""


class SelectorStage(Stage, frozen=True, kw_only=True):
    """What orders the slate. The first one draws it, each other changes what came before it."""


class DiverseStage(SelectorStage, frozen=True, kw_only=True, tag="diverse"):
    """The best of what is left, slot by slot, varied over categories and brands; drawn where it has a temperature."""

    category_penalty: Part | None = None
    brand_penalty: Part | None = None
    temperature: Annotated[float, Meta(ge=0, le=10)] | None = None


class NewcomerStage(SelectorStage, frozen=True, kw_only=True, tag="newcomer"):
    """The last place for the best item added within ``new_hours``, if none stands there by itself."""

    new_hours: Annotated[float, Meta(ge=0, le=8760)] | None = None


SOURCES: tuple[type[SourceStage], ...] = (
    FollowsStage, WordsStage, RetrievalStage, SimilarStage, CategoryStage, BuyAgainStage, NewStage, TrendingStage,
    RevisitStage, PrecedesStage,
)  # fmt: skip
FILTERS: tuple[type[FilterStage], ...] = (UnavailableStage, MetStage, WantedStage, VariantsStage)
SCORERS: tuple[type[ScorerStage], ...] = (ModelStage, BlendStage)
SELECTORS: tuple[type[SelectorStage], ...] = (DiverseStage, NewcomerStage)

#: Without these a sold-out item would be shown, or what the one who asks left out.
NEEDED: tuple[type[FilterStage], ...] = (UnavailableStage, WantedStage)
#: Selectors that draw a slate; the others change a drawn one.
DRAWING: tuple[type[SelectorStage], ...] = (DiverseStage,)


class Surface(Struct, frozen=True, kw_only=True):
    """One list of the shop.

    ``page``: what its page shows while it asks: ``item`` is folded in as viewed, ``cart`` as put into the cart,
    ``any``: nothing. ``limit``: items of a slate; None: ``slate_size`` of the engine's settings.
    """

    name: str
    description: str = ""
    page: Page = "any"
    limit: Annotated[int, Meta(ge=1, le=200)] | None = None
    sources: tuple[SourceStage, ...]
    filters: tuple[FilterStage, ...]
    scorer: ScorerStage = ModelStage()
    selectors: tuple[SelectorStage, ...]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages in their order: two surfaces of the same stages are one pipeline."""
        return (*self.sources, *self.filters, self.scorer, *self.selectors)

    @property
    def digest(self) -> str:
        """16 hex digits that change when anything that the surface shows may."""
        return blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()


class Surfaces:
    """The surfaces of one file, by name. ``origin`` is the file, for messages."""

    def __init__(self, surfaces: Mapping[str, Surface], origin: str) -> None:
        self._surfaces, self.origin = dict(surfaces), origin

    def __iter__(self) -> Iterator[Surface]:
        return iter(self._surfaces.values())

    def get(self, name: str) -> Surface | None:
        """The surface of this name."""
        return self._surfaces.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the file's order."""
        return tuple(self._surfaces)

    def unknown(self, name: str) -> str:
        """What to tell who asks for a surface that is not there."""
        return f"there is no surface {name!r}; there are {', '.join(self.names)}"
