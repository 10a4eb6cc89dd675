"""The transformer: one forward encodes each history and scores all its candidates, each isolated from the others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.features import FEATURES, HEADS, histories, ranker_inputs
from contracts.items import Floats, Rows
from contracts.settings import EngineSettings
from inference.ask import View
from inference.scorers import Scores
from inference.session import Model


class Ranker:
    """``ranker.onnx``: logits of click, cart and purchase, whose probabilities are weighed into one value.

    ``columns``: which of ``FEATURES`` it reads.
    """

    name = "ranker"

    def __init__(self, model: Model, settings: EngineSettings, history_limit: int, columns: Sequence[int]) -> None:
        self._model = model
        self._limit = history_limit
        self._columns = None if len(columns) == len(FEATURES) else list(columns)
        self._worth = np.array([settings.click_value, settings.cart_value, settings.purchase_value])

    def score(self, view: View, rows: Rows, features: Floats) -> Scores:
        """See ``Scorer``. One run of the model for the whole batch. Raises: ModelUnavailable."""
        history = histories(view.table, view.profiles, view.nows_ms, self._limit)
        read = features if self._columns is None else np.ascontiguousarray(features[..., self._columns])
        logits = self._model.run(ranker_inputs(view.table, history, rows, read))[..., : len(HEADS)]
        heads = _sigmoid(logits.astype(np.float64))
        return Scores((heads * self._worth).sum(axis=-1), heads.astype(np.float32))


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """In 0..1; an infinite logit is a failure, not a certainty: NaN."""
    return np.asarray(np.where(np.isfinite(logits), 1.0 / (1.0 + np.exp(-np.clip(logits, -700, 700))), np.nan))
