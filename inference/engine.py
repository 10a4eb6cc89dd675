"""The face of inference: profiles and events in, slates out. One batch is one run of each model.

Synchronous and single-threaded: its owner calls it from one thread. It knows no transport, takes its time from the
events and its randomness from the recommendation ids, so a slate can be made again from the same inputs.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import structlog

from contracts.bundle import RANKER, RETRIEVER, Bundle
from contracts.errors import DaogouError
from contracts.events import BundleDigest, EventId, ItemId, RecommendationId
from contracts.items import ItemTable
from contracts.messages import CatalogueItem, Embedding, Probabilities, Slate, SlateItem
from contracts.metrics import Metrics
from contracts.settings import EngineSettings, ModelSettings, engine_digest
from contracts.statistics import Statistics
from inference.ask import Ask, View
from inference.catalogue import Catalogue
from inference.encoder import Encoder
from inference.pipeline import Pipeline, Ranked
from inference.scorers.fallback import Fallback
from inference.scorers.ranker import Ranker
from inference.session import Model, check_runtime, preload_cuda
from inference.sources.retrieval import Retrieval

log = structlog.get_logger()

NO_MODEL = "no model"
MODEL_FAILED = "model failed"
EMPTY_CATALOGUE = "catalogue empty"
NO_CANDIDATES = "no candidates"


class Engine:
    """Recommends. ``bundle`` None: the fallback scorer, and every slate says so."""

    def __init__(
        self, bundle: Bundle | None, settings: EngineSettings, model: ModelSettings, metrics: Metrics | None = None
    ) -> None:
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._digest = engine_digest(settings)
        self._bundle = bundle
        self._plain = Pipeline.of(settings, Fallback())
        self._best = self._load(bundle, model) if bundle else self._plain
        self.catalogue = Catalogue(bundle, Encoder(bundle, model) if bundle else None)
        self.statistics = Statistics(self.table)

    def _load(self, bundle: Bundle, model: ModelSettings) -> Pipeline:
        check_runtime()
        preload_cuda(model)
        limit = bundle.manifest.history_limit
        ranker = Model(bundle, RANKER, model)
        self._metrics.provider.labels(ranker.provider).set(1)
        learned = (Retrieval(Model(bundle, RETRIEVER, model), limit),)
        return Pipeline.of(self._settings, Ranker(ranker, self._settings, limit), learned)

    @property
    def table(self) -> ItemTable:
        """The catalogue as arrays."""
        return self.catalogue.table

    @property
    def bundle_digest(self) -> BundleDigest | None:
        """The bundle in service."""
        return self._bundle.digest if self._bundle else None

    def upsert(self, item: CatalogueItem) -> None:
        """An item, or its new state: in effect on the next slate."""
        self.catalogue.upsert(item)

    def delete(self, item_id: ItemId) -> None:
        """Take an item out: in effect on the next slate."""
        self.catalogue.delete(item_id)

    def stale(self, item: CatalogueItem) -> bool:
        """Whether the item's text must be embedded."""
        return self.catalogue.stale(item)

    def waiting(self) -> Iterable[CatalogueItem]:
        """Items whose text waits for its vector."""
        return self.catalogue.waiting()

    def embed(self, items: Sequence[CatalogueItem]) -> list[Embedding]:
        """Vectors of the items' texts."""
        return self.catalogue.embed(items)

    def set_embedding(self, embedding: Embedding) -> bool:
        """Take a vector in; False where it is another bundle's."""
        return self.catalogue.set_embedding(embedding)

    def recommendation_id(self, event_id: EventId) -> RecommendationId:
        """The same event, bundle and settings have the same id: a repeat is known as one."""
        parts = (event_id, self.bundle_digest or "", self._digest)
        return RecommendationId(blake2b("\0".join(parts).encode(), digest_size=16).hexdigest())

    def recommend(self, asks: Sequence[Ask], degraded: str | None = None) -> list[Slate]:
        """One slate for each ask. A failing model degrades the slates, it does not take them away.

        ``degraded`` is why the caller could not ask better, if so.
        """
        if not asks:
            return []
        ids = [self.recommendation_id(ask.trigger.event_id) for ask in asks]
        view = View(asks, ids, self.table, self.statistics, self.catalogue.text_dim)
        if not len(self.table):
            return [
                _slate(ask, i, (), self.bundle_digest, (), EMPTY_CATALOGUE) for ask, i in zip(asks, ids, strict=True)
            ]
        ranked, pipeline, cause = self._ranked(view)
        self._count(ranked)
        return self._slates(view, ranked, pipeline, degraded or cause)

    def _ranked(self, view: View) -> tuple[Ranked, Pipeline, str | None]:
        size = max(self._size(ask) for ask in view.asks)
        if self._best is self._plain:
            return self._plain.run(view, size), self._plain, NO_MODEL
        try:
            return self._best.run(view, size), self._best, None
        except (DaogouError, RuntimeError, ValueError, MemoryError) as error:  # what ONNX Runtime and numpy raise
            log.error("the model failed; slates degrade", error=f"{type(error).__name__}: {error}")
            return self._plain.run(view, size), self._plain, MODEL_FAILED

    def _size(self, ask: Ask) -> int:
        return min(ask.limit or self._settings.slate_size, self._settings.slate_size)

    def _count(self, ranked: Ranked) -> None:
        self._metrics.non_finite.inc(ranked.non_finite)
        for timing in ranked.timings:
            self._metrics.stage_seconds.labels(timing.stage).observe(timing.microseconds / 1e6)

    def _slates(self, view: View, ranked: Ranked, pipeline: Pipeline, degraded: str | None) -> list[Slate]:
        slates = []
        for shopper, ask in enumerate(view.asks):
            items = self._items(view, ranked, pipeline, shopper, self._size(ask))
            cause = degraded or (None if items else NO_CANDIDATES)
            if cause:
                self._metrics.degraded.labels(cause).inc()
            slates.append(_slate(ask, view.ids[shopper], items, self.bundle_digest, ranked.timings, cause))
        return slates

    def _items(self, view: View, ranked: Ranked, pipeline: Pipeline, shopper: int, size: int) -> tuple[SlateItem, ...]:
        picks = ranked.selection.picks[shopper][:size]
        chances = ranked.selection.propensities[shopper]
        return tuple(
            self._item(view, ranked, pipeline, shopper, int(pick), float(chances[slot]))
            for slot, pick in enumerate(picks)
            if pick >= 0
        )

    def _item(
        self, view: View, ranked: Ranked, pipeline: Pipeline, shopper: int, pick: int, chance: float
    ) -> SlateItem:
        row = int(ranked.merged.rows[shopper, pick])
        source = pipeline.sources[int(ranked.merged.sources[shopper, pick])]
        item = self.table.items[row]
        heads = None if ranked.scores.heads is None else ranked.scores.heads[shopper, pick]
        return SlateItem(
            item_id=ItemId(item.item_id) if item else ItemId(""),
            score=float(ranked.scores.values[shopper, pick]),
            source=source.name,
            reason=source.explain(view, shopper, row),
            propensity=chance,
            probabilities=None if heads is None else _probabilities(heads),
        )


def _probabilities(heads: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Probabilities:
    click, cart, purchase = (float(value) for value in heads[:3])
    return Probabilities(click=click, cart=cart, purchase=purchase)


def _slate(
    ask: Ask,
    recommendation: RecommendationId,
    items: tuple[SlateItem, ...],
    bundle: BundleDigest | None,
    stages: tuple[object, ...],
    degraded: str | None,
) -> Slate:
    return Slate(
        recommendation_id=recommendation,
        user_id=ask.profile.user_id,
        surface=ask.surface,
        items=items,
        trigger=ask.trigger,
        profile_version=ask.profile.version,
        bundle=bundle,
        stages=stages,  # type: ignore[arg-type]
        degraded=degraded,
    )
