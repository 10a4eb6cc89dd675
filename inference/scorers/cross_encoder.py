"""The other way to score: one BERT reads an item's text beside the texts that the shopper met, and says the stars.

Far dearer than the ranker: one forward for each candidate, nothing shared. It reads text alone, so it needs no
features, no vectors and no retraining for new items.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from contracts.biases import BiasTable
from contracts.bundle import Bundle
from contracts.errors import BundleRefused
from contracts.events import ItemId
from contracts.items import Floats, Rows, text_of
from contracts.pairs import Pair, history_items, history_text
from contracts.settings import ModelSettings
from inference.ask import View
from inference.heads import Head, biases_of
from inference.scorers import Scores


class CrossEncoder:
    """``regressor.onnx``: the rating that a shopper would give, from the scale's low end (0) to its high end (1).

    A shopper who refused consent has no history here and no bias of their own.

    Raises (when it is made): BundleRefused, EnvironmentRefused.
    """

    name = "cross_encoder"

    def __init__(self, bundle: Bundle, settings: ModelSettings, device: str | None = None) -> None:
        if bundle.manifest.kind != "regressor":
            raise BundleRefused(f"{bundle.folder} is of kind {bundle.manifest.kind!r}: a cross-encoder is a regressor")
        self._head, biases = Head(bundle, settings, device), biases_of(bundle)
        if not biases.low < biases.high:
            raise BundleRefused(f"{bundle.folder}: a scale from {biases.low} to {biases.high}")
        self._biases, self._table = biases, BiasTable(biases)
        self.digest = bundle.digest

    def warm(self) -> None:
        """So that the first slate does not pay for the first forward. Raises: ModelUnavailable."""
        self._head.warm()

    def score(self, view: View, rows: Rows, features: Floats) -> Scores:
        """See ``Scorer``. Raises: ModelUnavailable."""
        shoppers, columns = np.nonzero(rows >= 0)
        values = np.zeros(rows.shape)
        if len(shoppers):
            values[shoppers, columns] = self._worth(self._ratings(view, shoppers, rows[shoppers, columns]))
        return Scores(values, None)

    def _worth(self, ratings: NDArray[np.float64]) -> NDArray[np.float64]:
        """In 0..1; an infinite rating is a failure, not a delight: NaN."""
        low, high = self._biases.low, self._biases.high
        return np.where(np.isfinite(ratings), np.clip((ratings - low) / (high - low), 0.0, 1.0), np.nan)

    def _ratings(self, view: View, shoppers: NDArray[np.intp], rows: Rows) -> NDArray[np.float64]:
        text = _texts(view)
        beside = [history_text(history_items(profile), text) for profile in view.profiles]
        ids = [view.table.ids[row] for row in rows]
        pairs = [Pair(text(item), beside[shopper]) for item, shopper in zip(ids, shoppers, strict=True)]
        found = self._head.scores(pairs)[:, 0].astype(np.float64)
        return found + self._plain(view, shoppers, ids) if self._biases.residual else found

    def _plain(self, view: View, shoppers: NDArray[np.intp], ids: list[ItemId]) -> NDArray[np.float64]:
        known = [None if ask.profile.consent is False else ask.profile.user_id for ask in view.asks]
        return np.array([self._table.rating(known[s], item) for s, item in zip(shoppers, ids, strict=True)])


def _texts(view: View) -> Callable[[ItemId], str]:
    def text(item_id: ItemId) -> str:
        item = view.table.item(item_id)
        return text_of(item) if item else ""

    return text
