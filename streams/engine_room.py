"""The engine on one thread of its own: calls line up, and the event loop goes on meanwhile."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from contracts.events import BundleDigest, ItemId
from contracts.messages import CatalogueItem, Embedding, Slate
from contracts.surfaces import Surfaces
from inference.ask import Ask
from inference.engine import Engine

EMBED_AT_ONCE = 32

T = TypeVar("T")


class EngineRoom:
    """Every call that reads or changes the engine runs here, one after another."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")

    async def ask(self, call: Callable[[Engine], T]) -> T:
        """Run ``call`` on the engine's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, self._engine)

    def item(self, item_id: ItemId) -> CatalogueItem | None:
        """An item as it is now, from any thread: one look into a dictionary and one into a list that only grows."""
        return self._engine.item(item_id)

    @property
    def surfaces(self) -> Surfaces:
        """What slates can be asked for; it never changes."""
        return self._engine.surfaces

    def items(self) -> int:
        """How many items there are now, from any thread."""
        return self._engine.table.count

    def rules_turned_ms(self, now_ms: int) -> int:
        """When the rules in force last changed, from any thread: a book's order is replaced, never changed."""
        return self._engine.rules.turned_ms(now_ms)

    def coverage(self) -> tuple[int, int, int]:
        """Items there are, that can be bought, and that have a vector, from any thread."""
        table = self._engine.table
        return table.count, int(table.available.sum()), int(table.has_vector.sum())

    def model_name(self, bundle: BundleDigest) -> str:
        """What the bundle in service is called; "" where it is another one."""
        return self._engine.model_name if self._engine.bundle_digest == bundle else ""

    async def recommend(self, asks: Sequence[Ask], degraded: str | None = None) -> list[Slate]:
        """One slate for each ask."""
        return await self.ask(lambda engine: engine.recommend(asks, degraded)) if asks else []

    async def embed(self, items: Sequence[CatalogueItem]) -> list[Embedding]:
        """Vectors of items, a few at a time, so that slates are made in between."""
        vectors: list[Embedding] = []
        for start in range(0, len(items), EMBED_AT_ONCE):
            some = items[start : start + EMBED_AT_ONCE]
            vectors += await self.ask(lambda engine, some=some: engine.embed(some))  # type: ignore[misc]
        return vectors

    def close(self) -> None:
        """Finish what was asked, then end the thread."""
        self._thread.shutdown(wait=True)
