"""The live catalogue: items as arrays, their vectors by the bundle in service."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from contracts.bundle import ITEM_DELTAS, Bundle
from contracts.errors import BundleRefused
from contracts.events import BundleDigest, ItemId
from contracts.items import Floats, ItemTable, text_digest, text_of
from contracts.messages import CatalogueItem, Embedding
from inference.encoder import Encoder

DELTAS, DELTA_IDS = "deltas", "item_ids"


class Catalogue:
    """Upserts, deletions and embeddings, as they come from their topics in any order."""

    def __init__(self, bundle: Bundle | None, encoder: Encoder | None) -> None:
        self.table = ItemTable(1)
        self._take(bundle, encoder)

    def _take(self, bundle: Bundle | None, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._digest = bundle.digest if bundle else BundleDigest("")
        self._text_dim, delta_dim = (bundle.manifest.text_dim, bundle.manifest.delta_dim) if bundle else (1, 0)
        self._deltas = _read_deltas(bundle) if bundle else {}
        self._no_delta = np.zeros(delta_dim, np.float32)
        self._embedded: dict[ItemId, str] = {}
        self._waiting: dict[ItemId, None] = {}
        self.table.forget_vectors(self._text_dim + delta_dim, self._text_dim)

    def swap(self, bundle: Bundle | None, encoder: Encoder | None, embeddings: Iterable[Embedding] = ()) -> None:
        """Another bundle serves: vectors of the old one go, ``embeddings`` come, what has none waits again."""
        self._take(bundle, encoder)
        for embedding in embeddings:
            self.set_embedding(embedding)
        for item in self.table.items:
            if item is not None:
                self._vector_or_wait(item)

    def upsert(self, item: CatalogueItem) -> None:
        """An item, or its new state; its old vector serves until the new text's is there."""
        self.table.upsert(item)
        self._vector_or_wait(item)

    def _vector_or_wait(self, item: CatalogueItem) -> None:
        item_id = ItemId(item.item_id)
        if self.stale(item):
            self._waiting[item_id] = None
            return
        self._waiting.pop(item_id, None)
        if self._encoder is None or not text_of(item):
            self._embedded.pop(item_id, None)
            self._set(item_id, np.zeros(self._text_dim, np.float32))

    def delete(self, item_id: ItemId) -> None:
        """Take an item out."""
        self.table.delete(item_id)
        self._waiting.pop(item_id, None)

    def stale(self, item: CatalogueItem) -> bool:
        """Whether its text has no vector of this bundle yet."""
        if self._encoder is None or not text_of(item):
            return False
        return self._embedded.get(ItemId(item.item_id)) != text_digest(item)

    def waiting(self) -> Iterator[CatalogueItem]:
        """The items whose text has no vector of this bundle yet, the longest waiting first."""
        rows = (self.table.row_of[item_id] for item_id in tuple(self._waiting))
        return (item for item in map(self.table.items.__getitem__, rows) if item is not None)

    def embed(self, items: Sequence[CatalogueItem]) -> list[Embedding]:
        """The vectors of items' texts; items without words get none. Raises: ModelUnavailable."""
        worded = [item for item in items if text_of(item)]
        if self._encoder is None or not worded:
            return []
        vectors = self._encoder.encode([text_of(item) for item in worded]).astype("<f2")
        return [
            Embedding(item_id=i.item_id, bundle=self._digest, text_digest=text_digest(i), vector=v.tobytes())
            for i, v in zip(worded, vectors, strict=True)
        ]

    def set_embedding(self, embedding: Embedding) -> bool:
        """Take a vector in. False where it is another bundle's, or is no vector of ours."""
        if embedding.bundle != self._digest or len(embedding.vector) != 2 * self._text_dim:
            return False
        vector = np.frombuffer(embedding.vector, "<f2").astype(np.float32)
        if not np.isfinite(vector).all():
            return False
        item_id = ItemId(embedding.item_id)
        self._embedded[item_id] = embedding.text_digest
        self._set(item_id, vector / max(float(np.linalg.norm(vector)), 1e-6))
        item = self.table.items[self.table.row_of[item_id]]
        if item is not None and not self.stale(item):
            self._waiting.pop(item_id, None)
        return True

    def _set(self, item_id: ItemId, text: Floats) -> None:
        self.table.set_vector(item_id, np.concatenate([text, self._deltas.get(item_id, self._no_delta)]))


def _read_deltas(bundle: Bundle) -> dict[ItemId, Floats]:
    if not bundle.has(ITEM_DELTAS):
        return {}
    try:
        tensors = load(bundle.read(ITEM_DELTAS))
        deltas = tensors[DELTAS].astype(np.float32)
        ids = msgspec.json.decode(tensors[DELTA_IDS].tobytes(), type=list[ItemId])
    except (SafetensorError, KeyError, msgspec.DecodeError) as error:
        raise BundleRefused(f"{bundle.folder}: {ITEM_DELTAS} cannot be read: {error}") from error
    if deltas.shape != (len(ids), bundle.manifest.delta_dim) or not np.isfinite(deltas).all():
        raise BundleRefused(
            f"{bundle.folder}: {ITEM_DELTAS} holds {deltas.shape} for {len(ids)} items; the manifest says "
            f"{bundle.manifest.delta_dim} finite numbers an item"
        )
    return dict(zip(ids, deltas, strict=True))
