"""What the model expects next: the history's vector against every item's, exactly."""

from collections.abc import Sequence

import numpy as np

from contracts.features import histories, history_inputs
from contracts.items import NO_ROW, Rows
from inference.ask import View
from inference.nearest import nearest
from inference.session import Model
from inference.sources import Shoppers


class Retrieval:
    """Maximum inner product of ``retriever.onnx``'s query with the catalogue. One run of the model a batch."""

    name = "retrieval"

    def __init__(self, model: Model, history_limit: int) -> None:
        self._model = model
        self._limit = history_limit

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``. A new shopper gets nothing from here: the model knows as little as we do."""
        rows = np.full((len(view), limit), NO_ROW, np.int32)
        known = np.flatnonzero((view.recent >= 0).any(axis=1))
        if len(known):
            history = histories(view.table, [view.profiles[k] for k in known], view.nows_ms[known], self._limit)
            query = self._model.run(history_inputs(view.table, history))
            found = nearest(query, view.table.vectors, view.embedded, limit)
            rows[known, : found.shape[1]] = found
        return rows

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        return ["Picked for you"] * len(rows)
