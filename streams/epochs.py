"""Which life of the clickstream topic a record belongs to: re-created, its offsets start again."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any


class Epochs:
    """The topic's id, asked for once an assignment, and again when offsets run backwards.

    ``ask`` is blocking (``streams.admin.topic_epoch``).
    """

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._generation = -1
        self._epoch = ""
        self._last: dict[int, int] = {}

    async def of(self, generation: int, records: Sequence[Any]) -> str:
        """The epoch of a batch's records."""
        first: dict[int, int] = {}
        for record in records:
            first.setdefault(record.partition, record.offset)
        backwards = any(offset <= self._last.get(partition, -1) for partition, offset in first.items())
        if generation != self._generation or backwards:
            self._epoch = await asyncio.to_thread(self._ask)
            self._generation = generation
        self._last |= {record.partition: record.offset for record in records}
        return self._epoch
