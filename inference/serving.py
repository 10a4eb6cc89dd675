"""A bundle made ready to serve: loaded, checked by a first forward of each model, warm. The engine takes it whole."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import RANKER, RETRIEVER, Bundle, Manifest, open_bundle
from contracts.errors import BundleRefused, ModelUnavailable
from contracts.events import BundleDigest
from contracts.features import HISTORY_INPUTS, RANKER_INPUTS
from contracts.settings import EngineSettings, ModelSettings, StreamSettings
from contracts.surface_file import load_surfaces
from contracts.surfaces import Surfaces
from inference.encoder import Encoder
from inference.padding import Sizes, shapes
from inference.scorers.cross_encoder import CrossEncoder
from inference.scorers.ranker import Ranker
from inference.session import Model, check_runtime, preload_cuda
from inference.sources.retrieval import Retrieval
from inference.stages import Models, Pipelines, build

NO_SLATES = {
    "encoder": "an encoder: it makes vectors of texts",
    "classifier": "a classifier: it makes labels of texts (`daogou score-text`)",
    "regressor": "a regressor: it makes ratings (DAOGOU_MODEL__CROSS_ENCODER, beside a recommender's bundle)",
}

WARM_SHOPPERS = (1, 8, 32)


class Serving(NamedTuple):
    """What one bundle serves with, for each surface. ``scorer``: the digest of the bundle that scores, if another."""

    bundle: Bundle
    encoder: Encoder
    pipelines: Pipelines
    provider: str
    scorer: BundleDigest | None = None


def load(
    bundle: Bundle, settings: EngineSettings, model: ModelSettings, surfaces: Surfaces | None = None,
    device: str | None = None,
) -> Serving:  # fmt: skip
    """Load a bundle and warm it. It touches no engine, so it may be done in another thread, beside the old one.

    ``surfaces`` None: the shipped ones; ``device``: see ``Model``. Raises: BundleRefused, EnvironmentRefused,
    SettingsRefused.
    """
    if bundle.manifest.kind != "recommender":
        raise BundleRefused(f"{bundle.folder} is {NO_SLATES[bundle.manifest.kind]}, and no slates")
    check_runtime()
    preload_cuda(model)
    retriever = Model(bundle, RETRIEVER, HISTORY_INPUTS, "query", model, device)
    ranker = Model(bundle, RANKER, RANKER_INPUTS, "logits", model, device, {"candidates": settings.candidates})
    encoder = Encoder(bundle, model, device)
    _warm(bundle, encoder, retriever, ranker, settings.candidates)
    manifest = bundle.manifest
    other = _cross_encoder(open_bundle(model.cross_encoder), model, device) if model.cross_encoder else None
    retrieval = Retrieval(retriever, manifest.history_limit)
    models = Models(retrieval, lambda own: other or Ranker(ranker, own, manifest), manifest.light)
    pipelines = build(surfaces or load_surfaces(), settings, models)
    return Serving(bundle, encoder, pipelines, ranker.provider, other.digest if other else None)


def _cross_encoder(bundle: Bundle, model: ModelSettings, device: str | None) -> CrossEncoder:
    scorer = CrossEncoder(bundle, model, device)
    try:
        scorer.warm()
    except ModelUnavailable as error:
        raise BundleRefused(f"{bundle.folder}: the model says nothing: {error}") from error
    return scorer


def _warm(bundle: Bundle, encoder: Encoder, retriever: Model, ranker: Model, candidates: int) -> None:
    """Run every shape once: what does not fit the manifest fails here, not in a shopper's slate."""
    manifest = bundle.manifest
    try:
        for sizes in _met(manifest, candidates, few=ranker.bound is not None):
            inputs = _zeros(manifest, sizes)
            shoppers, scored = sizes["shoppers"], sizes["candidates"]
            _check_shape(bundle, RETRIEVER, retriever.run(inputs).shape, (shoppers, manifest.vector_dim))
            _check_shape(bundle, RANKER, ranker.run(inputs).shape, (shoppers, scored, len(manifest.heads)))
        encoder.warm()
    except (ModelUnavailable, ValueError) as error:
        raise BundleRefused(f"{bundle.folder}: a model does not take what the manifest says: {error}") from error


def _met(manifest: Manifest, candidates: int, few: bool) -> list[Sizes]:
    """All shapes that serving meets, where they are ``few``; otherwise some. Batches beyond the default pay once."""
    most = {"shoppers": StreamSettings().batch, "history": manifest.history_limit, "candidates": candidates}
    return list(shapes(most)) if few else [{**most, "shoppers": shoppers} for shoppers in WARM_SHOPPERS]


def _check_shape(bundle: Bundle, file: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise BundleRefused(f"{bundle.folder}: {file} gives {shape} where the manifest says {expected}")


def _zeros(manifest: Manifest, sizes: Sizes) -> dict[str, NDArray[np.generic]]:
    history, candidates = (sizes["shoppers"], sizes["history"]), (sizes["shoppers"], sizes["candidates"])
    return {
        "history_vectors": np.zeros((*history, manifest.vector_dim), np.float32),
        "history_kinds": np.ones(history, np.int64),
        "history_gaps": np.zeros(history, np.int64),
        "candidate_vectors": np.zeros((*candidates, manifest.vector_dim), np.float32),
        "candidate_features": np.zeros((*candidates, len(manifest.features)), np.float32),
    }
