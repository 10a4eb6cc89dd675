"""Whole topics, followed without a group: first what is there, then what comes, for as long as the process lives."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.errors import BrokerUnavailable, TopicsRefused
from contracts.settings import KafkaSettings
from streams.clients import connection
from streams.stopping import stop_consumer

AT_ONCE = 2000

log = structlog.get_logger()

Runs = dict[TopicPartition, list[Any]]


class Tail:
    """Gives the records of all partitions of ``topics`` to ``take``. ``what`` they are, for people."""

    def __init__(
        self, settings: KafkaSettings, topics: Sequence[str], what: str, take: Callable[[Runs], Awaitable[None]]
    ) -> None:
        self._settings, self._topics, self._what, self._take = settings, topics, what, take
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, since_ms: int | None = None) -> None:
        """Read everything that is there, or that came since ``since_ms``. Then ``follow`` goes on.

        Raises: BrokerUnavailable, TopicsRefused.
        """
        self._consumer = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100,
            metadata_max_age_ms=5000, max_partition_fetch_bytes=4 << 20, **connection(self._settings),
        )  # fmt: skip
        try:
            await self._consumer.start()
            await self._catch_up(self._consumer, since_ms)
        except KafkaError as error:
            raise BrokerUnavailable(f"{self._what} cannot be read: {type(error).__name__}: {error}") from error

    async def follow(self) -> None:
        """What comes, until cancelled; a broker that is away is waited for."""
        consumer = self._started
        while True:
            try:
                await self._take(await consumer.getmany(timeout_ms=1000, max_records=AT_ONCE))
            except KafkaError as error:
                log.warning(f"{self._what} stands still", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(1.0)

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where partitions of any topic end now. Raises: KafkaError."""
        wanted = list(partitions)
        return dict(await self._consumer.end_offsets(wanted)) if self._consumer and wanted else {}

    async def stop(self) -> None:
        """Let go."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    @property
    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable(f"{self._what}: not started")
        return self._consumer

    async def _catch_up(self, consumer: AIOKafkaConsumer, since_ms: int | None) -> None:
        partitions = [TopicPartition(t, p) for t in self._topics for p in await self._all(consumer, t)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        if since_ms is None:
            await consumer.seek_to_beginning(*partitions)
        else:
            starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            for partition in partitions:
                found = starts.get(partition)
                consumer.seek(partition, found.offset if found else ends[partition])
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            await self._take(await consumer.getmany(timeout_ms=100, max_records=AT_ONCE))

    async def _all(self, consumer: AIOKafkaConsumer, topic: str) -> Sequence[int]:
        deadline = monotonic() + self._settings.request_timeout
        while not (found := consumer.partitions_for_topic(topic)):
            if monotonic() > deadline:
                raise TopicsRefused(f"{topic} is missing. Run `daogou topics create`")
            await consumer._client.force_metadata_update()
            await asyncio.sleep(0.1)
        return sorted(found)
