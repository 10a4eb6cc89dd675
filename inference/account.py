"""Each feature's share of an item's score: the score as it is less the score with that feature at a middling value.

One forward for all: a candidate's score does not depend on the others, so an item stands in the list once as it is and
once for each feature (occlusion, Zeiler and Fergus, 2014).
"""

from typing import NamedTuple

import numpy as np

from contracts.features import FEATURES, candidate_features
from contracts.items import Rows
from inference.ask import View
from inference.scorers import Scorer


class Account(NamedTuple):
    """``score`` of an item, the features' ``values`` and their ``shares``, in the order of ``FEATURES``."""

    score: float
    values: tuple[float, ...]
    shares: tuple[float, ...]


def accounts(view: View, scorer: Scorer, rows: Rows) -> list[Account]:
    """One account for each of ``rows`` [N], of one shopper. Raises: ModelUnavailable."""
    if not len(rows):
        return []
    features = candidate_features(view.table, view.statistics, view.profiles, view.nows_ms, rows[None])[0]
    count, width = len(rows), len(FEATURES)
    varied = np.repeat(features[:, None, :], width + 1, axis=1)
    middle = np.median(features, axis=0)
    for feature in range(width):
        varied[:, feature + 1, feature] = middle[feature]
    every = np.repeat(rows, width + 1)[None]
    scores = scorer.score(view, every, varied.reshape(1, -1, width)).values.reshape(count, width + 1)
    return [
        Account(float(score[0]), tuple(values.tolist()), tuple((score[0] - score[1:]).tolist()))
        for score, values in zip(scores, features, strict=True)
    ]
