"""When there is no model: a plain blend of what the features say. Not as good, never missing."""

import numpy as np

from contracts.features import FEATURES
from contracts.items import Floats, Rows
from inference.ask import View
from inference.scorers import Scores

#: Chosen by hand from what the count model on public sets weighs most: transitions, then shared words, then trend.
BLEND = {
    "co_occurrence": 1.0, "preceded": 0.4, "words_recent": 1.2, "trend": 0.02, "newness": 0.1,
    "shown": -0.1,
}  # fmt: skip


class Fallback:
    """Softplus of a weighted sum of features, so that it is above 0."""

    name = "fallback"

    def score(self, view: View, rows: Rows, features: Floats) -> Scores:
        """See ``Scorer``."""
        weights = np.array([BLEND.get(name, 0.0) for name in FEATURES])
        return Scores(np.logaddexp(0.0, features.astype(np.float64) @ weights), None)
