"""Items whose text has no vector of the bundle in service (a new bundle, a first start), embedded a few at a time.

By whoever owns their partition of the catalogue, so that it costs once for all workers.
"""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka.partitioner import DefaultPartitioner

from contracts.errors import Unavailable
from contracts.messages import CatalogueItem
from contracts.topics import CATALOGUE
from inference.engine import Engine
from streams.catalogue import CatalogueAgent
from streams.engine_room import EngineRoom

AT_ONCE = 64
LOOK_SECONDS = 1.0
RETURN_SECONDS = 0.2  # the vectors come back through their topic

log = structlog.get_logger()


class Backfill:
    """``owned`` says which partitions of the catalogue topic this worker has."""

    def __init__(self, engine: EngineRoom, agent: CatalogueAgent, owned: Callable[[], frozenset[int]]) -> None:
        self._engine, self._agent, self._owned = engine, agent, owned
        self._place = DefaultPartitioner()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                while mine := await self._engine.ask(self._mine):
                    await self._agent.embed(mine)
                    await asyncio.sleep(RETURN_SECONDS)
            except Unavailable as error:
                log.warning("items wait for their vectors", error=str(error))

    def _mine(self, engine: Engine) -> list[CatalogueItem]:
        owned = self._owned()
        partitions = list(range(CATALOGUE.partitions))
        found = (i for i in engine.waiting() if self._place(i.item_id.encode(), partitions, partitions) in owned)
        return [item for _, item in zip(range(AT_ONCE), found, strict=False)]
