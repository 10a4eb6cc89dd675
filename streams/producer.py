"""Our own producer: idempotent, acks=all, every send awaited. Faust's own commits without looking at failed sends."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from contracts.errors import BrokerUnavailable
from contracts.settings import KafkaSettings
from streams.clients import connection

MESSAGE_LIMIT = 1_000_000
BATCH_BYTES = 256 << 10
PATIENCE_SECONDS = 5.0

log = structlog.get_logger()


class Outgoing(NamedTuple):
    """One record to send. ``partition`` None: by the key, as every Kafka client does it (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Producer:
    """Sends many records and returns once every one is acknowledged by all in-sync replicas."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partition = DefaultPartitioner()
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises: BrokerUnavailable."""
        self._producer = AIOKafkaProducer(
            acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=BATCH_BYTES, max_request_size=4 << 20,
            **connection(self._settings),
        )  # fmt: skip
        try:
            await self._producer.start()
        except KafkaError as error:
            raise BrokerUnavailable(f"no Kafka broker answers at {self._settings.bootstrap_servers}") from error

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send all, in order within a partition, and wait. A broker that is away is waited for.

        Raises:
            BrokerUnavailable: a send was refused; sending again is safe, the effects are idempotent.
        """
        if not records:
            return
        try:
            await self._acknowledged([await self._sent(batch) for batch in await self._packed(records)])
        except KafkaError as error:
            raise BrokerUnavailable(f"Kafka refused a send: {type(error).__name__}: {error}") from error

    async def _packed(self, records: Sequence[Outgoing]) -> list[tuple[Any, str, int]]:
        packed: list[tuple[Any, str, int]] = []
        filling: dict[tuple[str, int], Any] = {}
        for record in records:
            place = record.topic, await self._place(record)
            builder = filling.get(place)
            if builder is None or not self._append(builder, record):
                builder = filling[place] = self._started.create_batch()
                packed.append((builder, *place))
                self._append(builder, record)
        return packed

    @property
    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerUnavailable("the producer was not started")
        return self._producer

    def _append(self, builder: Any, record: Outgoing) -> bool:
        added = builder.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
        return added is not None

    async def _place(self, record: Outgoing) -> int:
        if record.partition is not None:
            return record.partition
        partitions = sorted(await self._started.partitions_for(record.topic))
        return int(self._partition(record.key, partitions, partitions))

    async def _sent(self, batch: tuple[Any, str, int]) -> "asyncio.Future[Any]":
        builder, topic, partition = batch
        return await self._started.send_batch(builder, topic, partition=partition)  # type: ignore[no-any-return]

    async def _acknowledged(self, sends: list["asyncio.Future[Any]"]) -> None:
        waiting = set(sends)
        while waiting:  # never cancelled: an idempotent send that is given up blocks those behind it
            _, waiting = await asyncio.wait(waiting, timeout=PATIENCE_SECONDS)
            if waiting:
                log.warning("Kafka has not acknowledged yet; waiting", batches=len(waiting))
        for send in sends:
            send.result()

    async def stop(self) -> None:
        """Send what is left and let go."""
        if self._producer is not None:
            await self._producer.stop()
