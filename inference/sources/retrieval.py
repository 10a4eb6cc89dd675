"""What the model expects next: the history's vector against every item's, exactly."""

import numpy as np

from contracts.features import histories, history_inputs
from contracts.items import NO_ROW, Rows
from inference.ask import View
from inference.session import Model
from inference.sources import top_rows


class Retrieval:
    """Maximum inner product of ``retriever.onnx``'s query with the catalogue; no index is needed to a million items."""

    name = "retrieval"

    def __init__(self, model: Model, history_limit: int) -> None:
        self._model = model
        self._limit = history_limit

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        history = histories(view.table, view.profiles, view.nows_ms, self._limit)
        query = self._model.run(history_inputs(view.table, history))[0]
        scores = np.where(view.offered, query @ view.table.vectors.T, -np.inf)
        known = np.asarray((view.recent >= 0).any(axis=1))
        return np.asarray(np.where(known[:, None], top_rows(scores, limit).rows, NO_ROW), np.int32)

    def explain(self, view: View, shopper: int, row: int) -> str:
        """See ``Source``."""
        return "Picked for you"
