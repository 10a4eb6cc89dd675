"""Reading back what all taught leaves most of the time to events."""

import asyncio
from itertools import pairwise
from time import monotonic

from contracts.settings import EngineSettings, ModelSettings
from inference.engine import Engine
from streams.engine_room import EngineRoom
from streams.progress import Progress
from streams.shared import REST, SharedStatistics
from streams.store.memory import MemoryStatistics
from streams.store.protocol import Changes

SLOW = 0.05
TURNS = 4


class BusyStatistics(MemoryStatistics):
    """Takes its time, as a server does in a backlog, and notes when it was asked and when it had answered."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = list[tuple[float, float]]()
        self.enough = asyncio.Event()

    async def changes(self, cursor: str | None, page: int = 1, neighbours: int = 1) -> Changes:
        began = monotonic()
        await asyncio.sleep(SLOW)
        found = await super().changes(cursor, page, neighbours)
        self.turns.append((began, monotonic()))
        if len(self.turns) > TURNS:
            self.enough.set()
        return found


async def turns() -> list[tuple[float, float]]:
    """The first turns of a worker whose interval is next to nothing."""
    store, room = BusyStatistics(), EngineRoom(Engine(None, EngineSettings(), ModelSettings()))
    shared = SharedStatistics(store, room, 0.001, Progress())
    await shared.start()
    await asyncio.wait_for(store.enough.wait(), 30)
    await shared.stop()
    room.close()
    return store.turns[1 : TURNS + 1]  # the first one is the start


def test_a_turn_that_takes_long_is_followed_by_as_long_a_rest() -> None:
    found = asyncio.run(turns())
    for (began, ended), (again, _) in pairwise(found):
        assert again - ended >= REST * (ended - began)
