"""The face of inference: profiles and events in, slates out. One batch is one run of each model.

Synchronous and single-threaded: its owner calls it from one thread. It knows no transport, takes its time from the
events and its randomness from the recommendation ids, so a slate can be made again from the same inputs.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from hashlib import blake2b

import structlog

from contracts.bundle import Bundle
from contracts.errors import Missing, ModelUnavailable
from contracts.events import BundleDigest, EventId, ItemId, RecommendationId
from contracts.items import ItemTable
from contracts.messages import CatalogueItem, Embedding, Slate
from contracts.metrics import Metrics
from contracts.postings import Postings
from contracts.settings import EngineSettings, ModelSettings, engine_digest
from contracts.statistics import Statistics
from contracts.surface_file import load_surfaces
from contracts.surfaces import HOME, Surface, Surfaces
from inference.account import Account, accounts
from inference.ask import Ask, View
from inference.browse import Browse
from inference.catalogue import Catalogue
from inference.fate import Turn, fate
from inference.pipeline import Pipeline, Ranked
from inference.receipt import Receipt, items_of_slate
from inference.rules.book import RuleBook
from inference.serving import Serving, load
from inference.stages import build

log = structlog.get_logger()

NO_MODEL = "no model"
MODEL_FAILED = "model failed"
EMPTY_CATALOGUE = "catalogue empty"


class Engine:
    """Recommends. ``bundle`` None: the fallback scorer, and every slate says so. ``surfaces`` None: the shipped ones.

    Raises (when it is made): BundleRefused, EnvironmentRefused, SettingsRefused.
    """

    def __init__(
        self, bundle: Bundle | None, settings: EngineSettings, model: ModelSettings, metrics: Metrics | None = None,
        surfaces: Surfaces | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._model = settings, model
        self._metrics = metrics or Metrics()
        self._digest = engine_digest(settings)
        self.surfaces = surfaces or load_surfaces()
        self._plain = build(self.surfaces, settings)
        self._serving = load(bundle, settings, model, self.surfaces) if bundle else None
        self.catalogue = Catalogue(bundle, self._serving.encoder if self._serving else None)
        self.statistics, self._postings = Statistics(self.table), Postings(self.table)
        self.rules = RuleBook(self.table)
        self.browse = self._browse()
        self._tell_provider()

    @property
    def table(self) -> ItemTable:
        """The catalogue as arrays."""
        return self.catalogue.table

    @property
    def bundle_digest(self) -> BundleDigest | None:
        """The bundle in service."""
        return self._serving.bundle.digest if self._serving else None

    @property
    def model_name(self) -> str:
        """What its maker called it; "" without one."""
        return self._serving.bundle.manifest.name if self._serving else ""

    def prepare(self, bundle: Bundle) -> Serving:
        """Load and warm another bundle beside the one in service. The one call that may run on another thread."""
        return load(bundle, self._settings, self._model, self.surfaces)

    def swap(self, serving: Serving, embeddings: Iterable[Embedding] = ()) -> None:
        """Serve with another bundle from the next batch on. ``embeddings``: the vectors of its own encoder.

        Items without one are offered as items without words until ``set_embedding`` brings it; see ``waiting``.
        """
        self._serving = serving
        self.catalogue.swap(serving.bundle, serving.encoder, embeddings)
        self.browse = self._browse()
        self._tell_provider()

    def _browse(self) -> Browse:
        return Browse(self.table, self.statistics, self._postings, self._serving.encoder if self._serving else None)

    def item(self, item_id: ItemId) -> CatalogueItem | None:
        """An item as the catalogue has it now."""
        return self.table.item(item_id)

    def upsert(self, item: CatalogueItem) -> None:
        """An item, or its new state: in effect on the next slate."""
        self.catalogue.upsert(item)

    def delete(self, item_id: ItemId) -> None:
        """Take an item out: in effect on the next slate."""
        self.catalogue.delete(item_id)

    def stale(self, item: CatalogueItem) -> bool:
        """Whether the item's text must be embedded."""
        return self.catalogue.stale(item)

    def waiting(self) -> Iterator[CatalogueItem]:
        """The items that must be embedded, the longest waiting first."""
        return self.catalogue.waiting()

    def embed(self, items: Sequence[CatalogueItem]) -> list[Embedding]:
        """Vectors of the items' texts. Raises: ModelUnavailable."""
        return self.catalogue.embed(items)

    def set_embedding(self, embedding: Embedding) -> bool:
        """Take a vector in; False where it is another bundle's."""
        return self.catalogue.set_embedding(embedding)

    def recommendation_id(self, event_id: EventId, surface: str = HOME) -> RecommendationId:
        """The same event, surface, bundle and settings have the same id: a repeat is known as one. Raises: Missing."""
        parts = [event_id, self.bundle_digest or "", self._digest, self._surface(surface).digest]
        if self._serving and self._serving.scorer:
            parts.append(self._serving.scorer)
        return RecommendationId(blake2b("\0".join(parts).encode(), digest_size=16).hexdigest())

    def recommend(self, asks: Sequence[Ask], degraded: str | None = None) -> list[Slate]:
        """One slate for each ask. A failing model degrades the slates, it does not take them away.

        ``degraded`` is why the caller could not ask better, if so. Raises: Missing, for a surface that there is not.
        """
        slates = self._answers(asks, degraded) if asks and self.table.count else self._empty(asks, degraded)
        for slate in slates:
            if slate.degraded:
                self._metrics.degraded.labels(slate.degraded).inc()
        return slates

    def with_rules(self, rules: RuleBook) -> "Engine":
        """This engine, same catalogue, statistics and models, under other rules. What it does is not counted."""
        other = copy(self)
        other.rules, other._metrics = rules, Metrics()
        return other

    def account(self, ask: Ask, items: Sequence[ItemId]) -> list[Account]:
        """Why each of ``items`` scores as it does for this shopper: see ``inference/account.py``."""
        pipeline = (self._serving.pipelines if self._serving else self._plain)[self._surface(ask.surface).name]
        return accounts(self._view([ask]), pipeline.scorer, self.table.rows(items))

    def _surface(self, name: str) -> Surface:
        surface = self.surfaces.get(name)
        if surface is None:
            raise Missing(self.surfaces.unknown(name))
        return surface

    def fate(self, ask: Ask, item: ItemId) -> list[Turn]:
        """An item's way through the stages for this shopper. Raises: ModelUnavailable."""
        pipeline = (self._serving.pipelines if self._serving else self._plain)[self._surface(ask.surface).name]
        return fate(self._view([ask]), pipeline, self.table.row_of.get(item, -1), self._size(ask))

    def _answers(self, asks: Sequence[Ask], degraded: str | None) -> list[Slate]:
        """Asks for surfaces of the same stages are one run, whatever they are called."""
        together: dict[int, list[int]] = {}
        for number, ask in enumerate(asks):
            together.setdefault(id(self._plain[self._surface(ask.surface).name]), []).append(number)
        found: dict[int, Slate] = {}
        for numbers in together.values():
            found.update(zip(numbers, self._alike([asks[number] for number in numbers], degraded), strict=True))
        return [found[number] for number in range(len(asks))]

    def _alike(self, asks: Sequence[Ask], degraded: str | None) -> list[Slate]:
        best = self._by_model(self._serving, asks, degraded) if self._serving else [None] * len(asks)
        lacking = [ask for ask, slate in zip(asks, best, strict=True) if slate is None]
        cause = degraded or (MODEL_FAILED if self._serving else NO_MODEL)
        plain = iter(self._plainly(lacking, cause) if lacking else ())
        return [slate or next(plain) for slate in best]

    def _by_model(self, serving: Serving, asks: Sequence[Ask], degraded: str | None) -> list[Slate | None]:
        """The model's slates; None for the shoppers that it gave no finite score, and for all if it failed."""
        view, pipeline = self._view(asks), serving.pipelines[asks[0].surface]
        try:
            ranked = pipeline.run(view, self._most(asks))
        except ModelUnavailable as error:
            log.error("the model failed; slates degrade", error=str(error))
            return [None] * len(asks)
        slates = self._slates(view, ranked, pipeline, degraded)
        return [None if failed else slate for slate, failed in zip(slates, ranked.failed.tolist(), strict=True)]

    def _plainly(self, asks: Sequence[Ask], degraded: str) -> list[Slate]:
        view, pipeline = self._view(asks), self._plain[asks[0].surface]
        return self._slates(view, pipeline.run(view, self._most(asks)), pipeline, degraded)

    def _view(self, asks: Sequence[Ask]) -> View:
        ids = [self.recommendation_id(ask.trigger.event_id, ask.surface) for ask in asks]
        return View(asks, ids, self.table, self.statistics, self._postings, self.rules)

    def _slates(self, view: View, ranked: Ranked, pipeline: Pipeline, degraded: str | None) -> list[Slate]:
        self._count(ranked)
        receipt = Receipt(self.bundle_digest, degraded, ranked.timings)
        every = [items_of_slate(view, ranked, pipeline, b, self._size(ask)) for b, ask in enumerate(view.asks)]
        return [
            receipt.slate(ask, view.ids[b], items, view.ruling.effects(b, [each.rules for each in items]))
            for b, (ask, items) in enumerate(zip(view.asks, every, strict=True))
        ]

    def _empty(self, asks: Sequence[Ask], degraded: str | None) -> list[Slate]:
        receipt = Receipt(self.bundle_digest, degraded or EMPTY_CATALOGUE)
        return [receipt.slate(ask, self.recommendation_id(ask.trigger.event_id, ask.surface), ()) for ask in asks]

    def _most(self, asks: Sequence[Ask]) -> int:
        return max(self._size(ask) for ask in asks)

    def _size(self, ask: Ask) -> int:
        own = self._surface(ask.surface).limit
        return min(ask.limit or own or self._settings.slate_size, self._settings.candidates)

    def _count(self, ranked: Ranked) -> None:
        self._metrics.non_finite.inc(ranked.non_finite)
        for timing in ranked.timings:
            self._metrics.stage_seconds.labels(timing.stage).observe(timing.microseconds / 1e6)

    def _tell_provider(self) -> None:
        self._metrics.provider.clear()
        if self._serving:
            self._metrics.provider.labels(self._serving.provider).set(1)
