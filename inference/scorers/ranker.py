"""The transformer: one forward encodes each history and scores all its candidates, each isolated from the others."""

import numpy as np

from contracts.features import HEADS, histories, ranker_inputs
from contracts.items import Floats, Rows
from contracts.settings import EngineSettings
from inference.ask import View
from inference.scorers import Scores
from inference.session import Model


class Ranker:
    """``ranker.onnx``: logits of click, cart and purchase, whose probabilities are weighed into one value."""

    name = "ranker"

    def __init__(self, model: Model, settings: EngineSettings, history_limit: int) -> None:
        self._model = model
        self._limit = history_limit
        self._worth = np.array([settings.click_value, settings.cart_value, settings.purchase_value])

    def score(self, view: View, rows: Rows, features: Floats) -> Scores:
        """See ``Scorer``."""
        history = histories(view.table, view.profiles, view.nows_ms, self._limit)
        logits = self._model.run(ranker_inputs(view.table, history, rows, features))[0][..., : len(HEADS)]
        heads = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
        return Scores(heads @ self._worth, heads.astype(np.float32))
