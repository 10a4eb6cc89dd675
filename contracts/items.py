"""The catalogue as arrays, one row an item: what features, sources and filters read without a Python loop.

Rows are never reused, so a row number stays true for the life of the process. One thread at a time.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from contracts.events import ItemId
from contracts.messages import CatalogueItem
from contracts.terms import Terms

Floats = NDArray[np.float32]
Rows = NDArray[np.int32]
Bools = NDArray[np.bool_]

NO_ROW = -1
CATEGORY_LEVELS = 3


def text_of(item: CatalogueItem) -> str:
    """The text that the encoder reads: title, category, brand, attributes, description."""
    parts = (item.title, " > ".join(item.category), item.brand, ", ".join(item.attributes), item.description)
    return ". ".join(part.strip() for part in parts if part.strip())


def text_digest(item: CatalogueItem) -> str:
    """16 hex digits that change when the text does."""
    return blake2b(text_of(item).encode(), digest_size=8).hexdigest()


def first_seen(values: Rows) -> Bools:
    """[B, N]: True where a value stands for the first time in its list."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    new = np.ones(values.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(new)
    np.put_along_axis(first, order, new, axis=1)
    return first


class ItemTable:
    """Items by row. ``vectors`` [rows, dim] float32: the text embedding, then the trained id delta (zeros if unknown).

    ``text_dim`` columns are the text's (None: all). Arrays grow by doubling; the properties show only the rows in use.
    """

    def __init__(self, dim: int, text_dim: int | None = None, capacity: int = 1024) -> None:
        self.dim = dim
        self.text_dim = dim if text_dim is None else text_dim
        self.row_of: dict[ItemId, int] = {}
        self.ids: list[ItemId] = []
        self.items: list[CatalogueItem | None] = []
        self.terms = Terms()
        self.stamp = 0  # counts upserts and deletions
        self._stamps = np.zeros(capacity, np.int64)
        self._codes: dict[str, int] = {"": 0}
        self._vectors = np.zeros((capacity, dim), np.float32)
        self._lengths = np.zeros(capacity, np.float32)
        self._has_vector = np.zeros(capacity, bool)
        self._present = np.zeros(capacity, bool)
        self._available = np.zeros(capacity, bool)
        self._prices = np.full(capacity, np.nan, np.float32)
        self._categories = np.zeros((capacity, CATEGORY_LEVELS), np.int32)
        self._narrowest = np.zeros(capacity, np.int32)
        self._brands = np.zeros(capacity, np.int32)
        self._groups = np.zeros(capacity, np.int32)
        self._added_ms = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item_id: ItemId) -> bool:
        row = self.row_of.get(item_id, NO_ROW)
        return row != NO_ROW and self.items[row] is not None

    @property
    def count(self) -> int:
        """Items that are in the catalogue now."""
        return int(np.count_nonzero(self._present))

    @property
    def vectors(self) -> Floats:
        """[rows, dim]: what the model reads for an item."""
        return self._vectors[: len(self.items)]

    @property
    def text_vectors(self) -> Floats:
        """[rows, text_dim]: the part of ``vectors`` that says what the item's text says."""
        return self._vectors[: len(self.items), : self.text_dim]

    @property
    def text_lengths(self) -> Floats:
        """[rows]: the Euclidean lengths of ``text_vectors``: 1, or 0 where there is no text."""
        return self._lengths[: len(self.items)]

    @property
    def has_vector(self) -> Bools:
        """[rows]: a vector was set; the others have zeros until their text is embedded."""
        return self._has_vector[: len(self.items)]

    @property
    def available(self) -> Bools:
        """[rows]: in the catalogue and in stock."""
        return self._available[: len(self.items)]

    @property
    def prices(self) -> Floats:
        """[rows]: nan where unknown."""
        return self._prices[: len(self.items)]

    @property
    def categories(self) -> Rows:
        """[rows, levels]: a code for each path of levels from the widest down; 0 where there is none."""
        return self._categories[: len(self.items)]

    @property
    def narrowest(self) -> Rows:
        """[rows]: the code of the narrowest category known; 0 where there is none."""
        return self._narrowest[: len(self.items)]

    @property
    def brands(self) -> Rows:
        """[rows]: a code for each brand; 0 where there is none."""
        return self._brands[: len(self.items)]

    @property
    def groups(self) -> Rows:
        """[rows]: a code for the product that an item is a variant of; 0 where it is no variant."""
        return self._groups[: len(self.items)]

    @property
    def added_ms(self) -> NDArray[np.int64]:
        """[rows]: Unix milliseconds; 0 where unknown."""
        return self._added_ms[: len(self.items)]

    def changed_since(self, stamp: int) -> NDArray[np.int64]:
        """The rows that were put in, changed or deleted after the table's ``stamp`` was that, in the order of it."""
        rows = np.flatnonzero(self._stamps[: len(self.items)] > stamp)
        return rows[np.argsort(self._stamps[rows], kind="stable")]

    def stamp_of(self, row: int) -> int:
        """What ``stamp`` was once the row had changed last."""
        return int(self._stamps[row])

    def rows(self, items: Sequence[ItemId]) -> Rows:
        """The rows of items, -1 where unknown or deleted."""
        found = np.fromiter(map(self.row_of.get, items, repeat(NO_ROW)), np.int32, len(items))
        return np.where(self._present[found], found, np.int32(NO_ROW))

    def keys(self, rows: Rows) -> NDArray[np.int64]:
        """One number for each (shopper, row) of ``rows`` [B, N]: ``b * len(self) + row``; -1 for padding."""
        keys = np.arange(len(rows), dtype=np.int64)[:, None] * len(self) + rows
        return np.where(rows >= 0, keys, np.int64(NO_ROW))

    def keys_of(self, lists: Sequence[Sequence[ItemId]]) -> NDArray[np.int64]:
        """The same numbers for lists of items, one list a shopper, end to end; -1 where unknown or deleted."""
        rows = self.rows([item for items in lists for item in items])
        owners = np.repeat(np.arange(len(lists), dtype=np.int64), [len(items) for items in lists])
        return np.where(rows >= 0, owners * len(self) + rows, np.int64(NO_ROW))

    def item(self, item_id: ItemId) -> CatalogueItem | None:
        """An item as it is now; None where it is unknown or deleted."""
        row = self.row_of.get(item_id)
        return None if row is None else self.items[row]

    def in_category(self, name: str) -> Bools:
        """[rows]: those of which ``name`` is a category, at any level."""
        codes = [code for path, code in self._codes.items() if _names(path, name)]
        return np.asarray(np.isin(self.categories, codes).any(axis=1))

    def upsert(self, item: CatalogueItem) -> int:
        """Put an item in, or its new state; its vector stays until another is set. Returns its row."""
        row = self._row(ItemId(item.item_id))
        self._touch(row)
        self.items[row] = item
        self._present[row] = True
        self._available[row] = item.available
        self._prices[row] = np.nan if item.price is None else item.price
        codes = self._path_codes(item.category)
        self._categories[row] = codes
        self._narrowest[row] = next((code for code in reversed(codes) if code), 0)
        self._brands[row] = self._code("brand", item.brand)
        self._groups[row] = self._code("group", item.group or "")
        self._added_ms[row] = item.added_ms or 0
        self.terms.put(row, item)
        return row

    def delete(self, item_id: ItemId) -> None:
        """Take an item out; its row stays empty. Unknown ids are fine: a compacted topic repeats its tombstones."""
        row = self.row_of.get(item_id)
        if row is not None:
            self._touch(row)
            self.items[row] = None
            self._present[row] = self._available[row] = False
            self.terms.put(row, None)

    def set_vector(self, item_id: ItemId, vector: Floats) -> None:
        """Set what the model reads for an item, [dim] float32."""
        row = self._row(item_id)
        self._vectors[row] = vector
        self._lengths[row] = np.linalg.norm(self._vectors[row, : self.text_dim])
        self._has_vector[row] = True

    def forget_vectors(self, dim: int, text_dim: int) -> None:
        """Another encoder came, whose vectors have other lengths: nothing is embedded any more."""
        self.dim, self.text_dim = dim, text_dim
        self._vectors = np.zeros((len(self._available), dim), np.float32)
        self._lengths[:] = 0.0
        self._has_vector[:] = False

    def _row(self, item_id: ItemId) -> int:
        row = self.row_of.get(item_id)
        if row is not None:
            return row
        if len(self.items) == len(self._available):
            self._grow()
        self.row_of[item_id] = len(self.items)
        self.ids.append(item_id)
        self.items.append(None)
        return len(self.items) - 1

    def _touch(self, row: int) -> None:
        self.stamp += 1
        self._stamps[row] = self.stamp

    def _grow(self) -> None:
        for name, array in list(vars(self).items()):
            if isinstance(array, np.ndarray):
                empty = np.full_like(array, np.nan) if array is self._prices else np.zeros_like(array)
                setattr(self, name, np.concatenate([array, empty]))

    def _path_codes(self, category: Sequence[str]) -> list[int]:
        paths = [" > ".join(category[: depth + 1]) if depth < len(category) else "" for depth in range(CATEGORY_LEVELS)]
        return [self._code("category", path) for path in paths]

    def _code(self, space: str, name: str) -> int:
        return self._codes.setdefault(f"{space}\0{name}", len(self._codes)) if name else 0


def _names(path: str, name: str) -> bool:
    """Whether a code's name is that of a category path that ends in ``name``, or is it."""
    space, _, levels = path.partition("\0")
    return space == "category" and (levels == name or levels.endswith(f" > {name}"))
