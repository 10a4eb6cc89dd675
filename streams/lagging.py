"""How far behind our partitions are, now and then: for the metric, and for the watchdog.

It asks Kafka over the follower's connection, not the one that reads the clickstream: that one may be what stands still.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from contracts.metrics import Metrics
from streams.follower import Follower
from streams.progress import Progress

LOOK_SECONDS = 5.0

log = structlog.get_logger()


class LagWatch:
    """``consumer`` gives Faust's consumer, once there is one; ``topic`` is the clickstream's name."""

    def __init__(
        self, topic: str, consumer: Callable[[], Any], follower: Follower, metrics: Metrics, progress: Progress
    ) -> None:
        self._topic, self._consumer, self._follower = topic, consumer, follower
        self._metrics, self._progress = metrics, progress

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except KafkaError as error:
                log.warning("the lag cannot be seen", error=f"{type(error).__name__}: {error}")

    async def look(self) -> None:
        """Once. Raises: KafkaError."""
        consumer = self._consumer()
        owned = [tp for tp in consumer.assignment() if tp.topic == self._topic]
        ends = await self._follower.ends(TopicPartition(tp.topic, tp.partition) for tp in owned)
        committed = {tp.partition: consumer.committed(tp) for tp in owned}
        self._metrics.lag.clear()
        for partition, end in ends.items():
            self._metrics.lag.labels(str(partition.partition)).set(max(0, end - committed[partition.partition]))
        self._progress.saw(sum(ends.values()), sum(committed.values()))
