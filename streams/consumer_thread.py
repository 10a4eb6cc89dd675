"""The thread that runs aiokafka for Faust's consumer; what ``streams/batches.py`` does not get from it as it is.

What it calls of Faust's inside is checked there, at import.
"""

from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

FETCH_MAX_WAIT_MS = 100


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Polls often, and goes back to where the group stands even where it has never committed."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust hard-codes a long poll of 1.5 s.

        aiokafka has one fetch a broker in flight, so a drained partition would wait for the poll of the idle ones.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back, in each partition, to the first record that the group has not done. Returns: what is committed.

        aiokafka leaves a partition without a commit where it stands, so records that were read while a rebalance
        stopped the flow, and therefore dropped, would never be read again.
        """
        committed: Mapping[TP, int] = await super().seek_to_committed()
        never = [place for place, offset in committed.items() if not offset or offset < 0]
        if never:
            await self.call_thread(self._ensure_consumer().seek_to_beginning, *never)
        return committed
