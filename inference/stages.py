"""Surfaces made to run: each stage's Struct -> what does it.

To add a stage: a file in its folder, its Struct in ``contracts/surfaces.py``, its line here.
A setting that a surface leaves out is the engine's own (``DAOGOU_ENGINE__*``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.errors import SettingsRefused
from contracts.settings import EngineSettings
from contracts.surfaces import (
    BuyAgainStage,
    CategoryStage,
    DiverseStage,
    FilterStage,
    FollowsStage,
    MetStage,
    ModelStage,
    NewcomerStage,
    NewStage,
    PrecedesStage,
    RetrievalStage,
    RevisitStage,
    SelectorStage,
    SimilarStage,
    SourceStage,
    Stage,
    Surface,
    Surfaces,
    TrendingStage,
    UnavailableStage,
    VariantsStage,
    WantedStage,
    WordsStage,
)
from inference.filters import Filter
from inference.filters.met import Met
from inference.filters.unavailable import Unavailable
from inference.filters.variants import Variants
from inference.filters.wanted import Wanted
from inference.pipeline import Pipeline, Turns
from inference.prerank import Prerank
from inference.scorers import Scorer
from inference.scorers.fallback import BLEND, Fallback
from inference.selectors import Selector
from inference.selectors.diverse import Diverse
from inference.selectors.newcomer import Newcomer
from inference.sources import Source
from inference.sources.buy_again import BuyAgain
from inference.sources.category import Category
from inference.sources.follows import Follows, Precedes
from inference.sources.new_arrivals import NewArrivals
from inference.sources.revisit import Revisit
from inference.sources.similar import Similar
from inference.sources.trending import Trending
from inference.sources.words import Words

Pipelines = Mapping[str, Pipeline]


class Models(NamedTuple):
    """What a bundle brings: a source, a scorer for given settings, and ``weights`` of the light order (or none)."""

    retrieval: Source
    scorer: Callable[[EngineSettings], Scorer]
    weights: Sequence[float]


class Given(NamedTuple):
    """What a stage is made with: its Struct, the engine's settings with its own over them, what a bundle brings."""

    stage: Any
    settings: EngineSettings
    models: Models | None


#: None: a source that cannot be there, for want of a bundle.
SOURCES: Mapping[type[SourceStage], Callable[[Given], Source | None]] = {
    FollowsStage: lambda _: Follows(),
    WordsStage: lambda _: Words(),
    RetrievalStage: lambda given: given.models.retrieval if given.models else None,
    SimilarStage: lambda _: Similar(),
    CategoryStage: lambda _: Category(),
    BuyAgainStage: lambda given: BuyAgain(given.settings.bought_days),
    NewStage: lambda _: NewArrivals(),
    TrendingStage: lambda _: Trending(),
    PrecedesStage: lambda _: Precedes(),
    RevisitStage: lambda given: Revisit(given.stage.days),
}
FILTERS: Mapping[type[FilterStage], Callable[[Given], Filter]] = {
    UnavailableStage: lambda _: Unavailable(),
    MetStage: lambda given: Met(given.settings.seen_window, given.settings.bought_days, given.stage.cart),
    WantedStage: lambda _: Wanted(),
    VariantsStage: lambda _: Variants(),
}
#: The selector that draws a slate.
DRAWING: Mapping[type[SelectorStage], Callable[[Given], Selector]] = {
    DiverseStage: lambda given: Diverse(given.settings),
}
#: Selectors that change what another one drew.
CHANGING: Mapping[type[SelectorStage], Callable[[Given, Selector], Selector]] = {
    NewcomerStage: lambda given, inner: Newcomer(inner, given.settings),
}


def build(surfaces: Surfaces, settings: EngineSettings, models: Models | None = None) -> Pipelines:
    """The pipeline of each surface; those of the same stages and length share one. Raises: SettingsRefused."""
    made: dict[tuple[int | None, tuple[Stage, ...]], Pipeline] = {}
    for surface in surfaces:
        _check(surface, settings, surfaces.origin)
        if (surface.limit, surface.stages) not in made:
            own = settings.model_copy(update={"slate_size": surface.limit or settings.slate_size})
            made[surface.limit, surface.stages] = _pipeline(surface, own, models)
    return {surface.name: made[surface.limit, surface.stages] for surface in surfaces}


def _check(surface: Surface, settings: EngineSettings, origin: str) -> None:
    if (surface.limit or 0) > settings.candidates:
        raise SettingsRefused(
            f"surfaces (DAOGOU_SURFACES): {origin}: surface {surface.name}: limit = {surface.limit} is more than the "
            f"{settings.candidates} candidates that are scored (DAOGOU_ENGINE__CANDIDATES)"
        )


def _pipeline(surface: Surface, settings: EngineSettings, models: Models | None) -> Pipeline:
    def given(stage: Stage) -> Given:
        return Given(stage, _over(settings, stage), models)

    turns = [(stage, SOURCES[type(stage)](given(stage))) for stage in surface.sources]
    by_model = models if isinstance(surface.scorer, ModelStage) else None
    first, *others = surface.selectors
    selector = DRAWING[type(first)](given(first))
    for stage in others:
        selector = CHANGING[type(stage)](given(stage), selector)
    return Pipeline(
        sources=[Turns(s, stage.limit or settings.per_source, stage.share) for stage, s in turns if s is not None],
        filters=[FILTERS[type(stage)](given(stage)) for stage in surface.filters],
        prerank=Prerank.of(by_model.weights if by_model else (), BLEND, settings.candidates),
        scorer=by_model.scorer(_over(settings, surface.scorer)) if by_model else Fallback(),
        selector=selector,
        considered=settings.considered,
    )


def _over(settings: EngineSettings, stage: Stage) -> EngineSettings:
    """The engine's settings, and over them those of the stage that have the same names."""
    own = {name: getattr(stage, name) for name in stage.__struct_fields__ if name in EngineSettings.model_fields}
    return settings.model_copy(update={name: value for name, value in own.items() if value is not None})
