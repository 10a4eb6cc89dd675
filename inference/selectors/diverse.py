"""Slot by slot, the best of what is left, where each one of a category or brand already shown costs the next one some.

With a temperature the slot is drawn instead: the probability of a candidate is proportional to
``value ** (1 / temperature)`` among what is left, and it is written beside the slot, so that any policy can later be
evaluated on what was logged (Horvitz and Thompson; Swaminathan and Joachims, 2015).
"""

import numpy as np
from numpy.typing import NDArray

from contracts.events import RecommendationId
from contracts.items import Rows
from contracts.settings import EngineSettings
from inference.ask import View
from inference.selectors import Selection

FLOOR = 1e-100  # an item whose penalties are whole is still better than an empty slot


class Diverse:
    """Greedy or drawn, varied over categories (the narrowest level known) and brands."""

    def __init__(self, settings: EngineSettings) -> None:
        self._keep_category = 1.0 - settings.category_penalty
        self._keep_brand = 1.0 - settings.brand_penalty
        self._temperature = settings.temperature

    def select(self, view: View, rows: Rows, values: NDArray[np.float64], size: int) -> Selection:
        """See ``Selector``. Randomness comes from the recommendation ids alone."""
        categories, brands = view.table.narrowest[rows], view.table.brands[rows]
        draws = [np.random.default_rng(_seed(i)) for i in view.ids] if self._temperature else []
        left = np.where(np.isfinite(values), np.maximum(values, FLOOR), 0.0)
        picks = np.full((len(rows), size), -1, np.int64)
        propensities = np.zeros((len(rows), size))
        every = np.arange(len(rows))
        for slot in range(min(size, rows.shape[1])):
            pick, chance = self._draw(left, draws)
            some = left[every, pick] > 0.0
            picks[some, slot], propensities[some, slot] = pick[some], chance[some]
            left[every, pick] = 0.0
            kept = np.where(_same(categories, pick), self._keep_category, 1.0)
            kept *= np.where(_same(brands, pick), self._keep_brand, 1.0)
            left = np.where(left > 0.0, np.maximum(left * kept, FLOOR), 0.0)
        return Selection(picks, propensities)

    def _draw(
        self, left: NDArray[np.float64], draws: list[np.random.Generator]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if not self._temperature:
            return left.argmax(axis=1), np.ones(len(left))
        weights = (left / np.maximum(left.max(axis=1, keepdims=True), 1e-300)) ** (1.0 / self._temperature)
        shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
        points = np.array([rng.random() for rng in draws])[:, None]
        pick = np.minimum(
            (shares.cumsum(axis=1) <= points * shares.sum(axis=1, keepdims=True)).sum(1), left.shape[1] - 1
        )
        return pick, shares[np.arange(len(left)), pick]


def _seed(recommendation: RecommendationId) -> int:
    return int(recommendation, 16)


def _same(codes: Rows, pick: NDArray[np.int64]) -> NDArray[np.bool_]:
    mine = codes[np.arange(len(codes)), pick][:, None]
    return np.asarray((codes == mine) & (mine > 0))
