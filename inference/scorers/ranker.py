"""The transformer: one forward encodes each history and scores all its candidates, each isolated from the others."""

import numpy as np
from numpy.typing import NDArray

from contracts.bundle import Manifest
from contracts.errors import BundleRefused
from contracts.features import FEATURES, HEADS, histories, ranker_inputs
from contracts.items import Floats, Rows
from contracts.settings import EngineSettings
from inference.ask import View
from inference.scorers import Scores
from inference.session import Model


class Ranker:
    """``ranker.onnx``: logits of the bundle's heads, whose probabilities are weighed into one value.

    ``manifest`` names its heads, and which of ``FEATURES`` it reads.

    Raises (when it is made): BundleRefused, where a head has a worth that the bundle does not have.
    """

    name = "ranker"

    def __init__(self, model: Model, settings: EngineSettings, manifest: Manifest) -> None:
        self._model = model
        self._limit = manifest.history_limit
        self._columns = None if len(manifest.columns) == len(FEATURES) else list(manifest.columns)
        self._heads = [HEADS.index(head) for head in manifest.heads]
        self._worth = _worths(settings, manifest)

    def score(self, view: View, rows: Rows, features: Floats) -> Scores:
        """See ``Scorer``. One run of the model for the whole batch. Raises: ModelUnavailable."""
        history = histories(view.table, view.profiles, view.nows_ms, self._limit)
        read = features if self._columns is None else np.ascontiguousarray(features[..., self._columns])
        logits = self._model.run(ranker_inputs(view.table, history, rows, read))
        said = _sigmoid(logits.astype(np.float64))
        heads = np.full((*rows.shape, len(HEADS)), np.nan, np.float32)
        heads[..., self._heads] = said
        return Scores((said * self._worth).sum(axis=-1), heads)


def _worths(settings: EngineSettings, manifest: Manifest) -> NDArray[np.float64]:
    """Of the bundle's heads, in their order."""
    worth = {
        "click": settings.click_value, "cart": settings.cart_value, "purchase": settings.purchase_value,
        "rating": settings.rating_value, "return_visit": settings.return_visit_value,
    }  # fmt: skip
    missing = [f"{head}_value" for head in HEADS if worth[head] > 0.0 and head not in manifest.heads]
    if missing:
        raise BundleRefused(
            f"{', '.join(missing)} above 0, but the bundle {manifest.name} has only the heads "
            f"{', '.join(manifest.heads)}: train it with a log that has ratings and times, or set this to 0"
        )
    return np.array([worth[head] for head in manifest.heads])


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """In 0..1; an infinite logit is a failure, not a certainty: NaN."""
    return np.asarray(np.where(np.isfinite(logits), 1.0 / (1.0 + np.exp(-np.clip(logits, -700, 700))), np.nan))
