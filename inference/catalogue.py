"""The live catalogue: items as arrays, their vectors by the bundle in service."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from safetensors.numpy import load

from contracts.bundle import ITEM_DELTAS, Bundle
from contracts.events import BundleDigest, ItemId
from contracts.items import Floats, ItemTable, text_digest, text_of
from contracts.messages import CatalogueItem, Embedding
from inference.encoder import Encoder

DELTAS, DELTA_IDS = "deltas", "item_ids"


class Catalogue:
    """Upserts, deletions and embeddings, as they come from their topics in any order."""

    def __init__(self, bundle: Bundle | None, encoder: Encoder | None) -> None:
        manifest = bundle.manifest if bundle else None
        self._digest = bundle.digest if bundle else BundleDigest("")
        self._encoder = encoder
        self.text_dim = manifest.text_dim if manifest else 0
        self._delta_dim = manifest.delta_dim if manifest else 0
        self.table = ItemTable(max(1, self.text_dim + self._delta_dim))
        self._deltas = _read_deltas(bundle) if bundle and bundle.has(ITEM_DELTAS) else {}
        self._embedded: dict[ItemId, str] = {}
        self._waiting: dict[ItemId, CatalogueItem] = {}

    def upsert(self, item: CatalogueItem) -> None:
        """An item, or its new state. Without words (or without a model) it can be scored at once, by what it did."""
        item_id = ItemId(item.item_id)
        self.table.upsert(item)
        if self._encoder is None or not text_of(item):
            self._set(item_id, np.zeros(self.text_dim, np.float32))
        elif self.stale(item):
            self._waiting[item_id] = item

    def waiting(self) -> Iterable[CatalogueItem]:
        """Items whose text has no vector of this bundle yet, the oldest first."""
        return tuple(self._waiting.values())

    def delete(self, item_id: ItemId) -> None:
        """Take an item out."""
        self.table.delete(item_id)
        self._waiting.pop(item_id, None)

    def stale(self, item: CatalogueItem) -> bool:
        """Whether its text has no vector of this bundle yet."""
        has_text = self._encoder is not None and bool(text_of(item))
        return has_text and self._embedded.get(ItemId(item.item_id)) != text_digest(item)

    def embed(self, items: Sequence[CatalogueItem]) -> list[Embedding]:
        """The vectors of items' texts. Items without words get none."""
        worded = [item for item in items if self._encoder is not None and text_of(item)]
        if not worded or self._encoder is None:
            return []
        vectors = self._encoder.encode([text_of(item) for item in worded]).astype("<f2")
        return [
            Embedding(item_id=i.item_id, bundle=self._digest, text_digest=text_digest(i), vector=v.tobytes())
            for i, v in zip(worded, vectors, strict=True)
        ]

    def set_embedding(self, embedding: Embedding) -> bool:
        """Take a vector in. False where it is another bundle's, or has not our length."""
        vector = np.frombuffer(embedding.vector, "<f2").astype(np.float32)
        if embedding.bundle != self._digest or len(vector) != self.text_dim or not np.isfinite(vector).all():
            return False
        item_id = ItemId(embedding.item_id)
        self._embedded[item_id] = embedding.text_digest
        self._arrived(item_id, embedding.text_digest)
        self._set(item_id, vector / max(float(np.linalg.norm(vector)), 1e-6))
        return True

    def _arrived(self, item_id: ItemId, digest: str) -> None:
        waiting = self._waiting.get(item_id)
        if waiting is not None and text_digest(waiting) == digest:
            del self._waiting[item_id]

    def _set(self, item_id: ItemId, text: Floats) -> None:
        delta = self._deltas.get(item_id)
        tail = np.zeros(self._delta_dim, np.float32) if delta is None else delta
        whole = np.concatenate([text, tail])
        self.table.set_vector(item_id, whole if len(whole) else np.zeros(1, np.float32))


def _read_deltas(bundle: Bundle) -> dict[ItemId, Floats]:
    tensors = load(bundle.read(ITEM_DELTAS))
    ids = msgspec.json.decode(tensors[DELTA_IDS].tobytes(), type=list[str])
    return {ItemId(i): row for i, row in zip(ids, tensors[DELTAS].astype(np.float32), strict=True)}
