"""Our own producer: idempotent, acks=all, every send awaited. Faust's own commits without looking at failed sends."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from contracts.errors import BrokerUnavailable, Oversize, Reason
from contracts.settings import KafkaSettings
from streams.clients import connection

MESSAGE_LIMIT = 1_000_000
BATCH_BYTES = 256 << 10
PATIENCE_SECONDS = 5.0
PROBE_SECONDS = 2.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordTooLargeError)

log = structlog.get_logger()


class Outgoing(NamedTuple):
    """One record to send. ``partition`` None: by the key, as every Kafka client does it (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Sent(NamedTuple):
    """Where a record stands in its topic now."""

    partition: int
    offset: int


class Pack(NamedTuple):
    """A batch for one partition, and which of the records are in it, in its order."""

    builder: Any
    topic: str
    partition: int
    numbers: list[int]


class Producer:
    """Sends many records and returns once every one is acknowledged by all in-sync replicas."""

    def __init__(self, settings: KafkaSettings, waits: Callable[[], None] = lambda: None) -> None:
        self._settings, self._waits = settings, waits
        self._renewing = asyncio.Lock()
        self._partition = DefaultPartitioner()
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises: BrokerUnavailable."""
        producer = AIOKafkaProducer(
            acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=BATCH_BYTES, **connection(self._settings)
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise BrokerUnavailable(f"no Kafka broker answers at {self._settings.bootstrap_servers}") from error
        self._producer = producer

    async def send(self, records: Sequence[Outgoing]) -> list[Sent]:
        """Send all, in order within a partition, and wait. A broker that is away is waited for.

        Returns where each record stands now.

        Raises:
            Oversize: a record is larger than its topic takes.
            BrokerUnavailable: a send was refused; sending again is safe, the effects are idempotent.
        """
        if not records:
            return []
        producer = self._started
        try:
            packed = await self._packed(producer, records)
            sends = [await producer.send_batch(pack.builder, pack.topic, partition=pack.partition) for pack in packed]
            await self._acknowledged(producer, sends)
            return _places(packed, sends, len(records))
        except _TOO_LARGE as error:
            await self._renew(producer)
            raise Oversize(Reason.OUTPUT_REFUSED, f"Kafka refuses it as too large: {error}") from error
        except KafkaError as error:
            await self._renew(producer)
            raise BrokerUnavailable(f"Kafka refused a send: {type(error).__name__}: {error}") from error

    async def _renew(self, refused: AIOKafkaProducer) -> None:
        """A refused batch leaves a hole in the producer's sequence, and everything after it would be refused."""
        async with self._renewing:
            if self._producer is refused:
                await self.start()
                await _close(refused)

    async def _packed(self, producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> list[Pack]:
        packed: list[Pack] = []
        filling: dict[tuple[str, int], Pack] = {}
        for number, record in enumerate(records):
            place = record.topic, await self._place(producer, record)
            pack = filling.get(place)
            if pack is None or not self._append(pack.builder, record):
                pack = filling[place] = Pack(producer.create_batch(), *place, [])
                packed.append(pack)
                self._append(pack.builder, record)
            pack.numbers.append(number)
        return packed

    @property
    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerUnavailable("the producer was not started")
        return self._producer

    def _append(self, builder: Any, record: Outgoing) -> bool:
        added = builder.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
        return added is not None

    async def _place(self, producer: AIOKafkaProducer, record: Outgoing) -> int:
        if record.partition is not None:
            return record.partition
        partitions = sorted(await producer.partitions_for(record.topic))
        return int(self._partition(record.key, partitions, partitions))

    async def _acknowledged(self, producer: AIOKafkaProducer, sends: list["asyncio.Future[Any]"]) -> None:
        waiting = set(sends)
        while waiting:  # never cancelled: an idempotent send that is given up blocks those behind it
            _, waiting = await asyncio.wait(waiting, timeout=PATIENCE_SECONDS)
            if waiting:
                log.warning("Kafka has not acknowledged yet; waiting", batches=len(waiting))
                await self._probe(producer)
        failures = [error for send in sends if (error := send.exception())]
        too_large = [error for error in failures if isinstance(error, _TOO_LARGE)]
        for error in (*too_large, *failures):  # a batch behind the one that is too large fails for its sake
            raise error

    async def _probe(self, producer: AIOKafkaProducer) -> None:
        """A broker that does not answer at all is known to be away; one that does and never acknowledges is not."""
        try:
            answered = await asyncio.wait_for(producer.client.force_metadata_update(), PROBE_SECONDS)
        except TimeoutError:
            answered = False
        if not answered:
            self._waits()

    async def stop(self) -> None:
        """Send what is left and let go."""
        if self._producer is not None:
            await self._producer.stop()


def _places(packed: Sequence[Pack], sends: Sequence["asyncio.Future[Any]"], count: int) -> list[Sent]:
    places = [Sent(-1, -1)] * count
    for pack, send in zip(packed, sends, strict=True):
        first = send.result().offset
        for place, number in enumerate(pack.numbers):
            places[number] = Sent(pack.partition, first + place)
    return places


async def _close(producer: Any) -> None:
    with suppress(KafkaError):  # what it still held was refused already
        await producer.stop()
