"""Reading topics for people: from the beginning to the end as it stands, from now on, or a key's last record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.errors import BrokerUnavailable, TopicsRefused
from contracts.settings import KafkaSettings
from contracts.topics import Topic
from streams.admin import partition_count
from streams.clients import connection
from streams.login import no_answer
from streams.names import physical
from streams.stopping import stop_consumer

AT_ONCE = 2_000
FIRST_STEP_BACK = 1_000


@asynccontextmanager
async def consumer_of(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, stopped at the end. Raises: BrokerUnavailable."""
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 << 20, **connection(settings),
    )  # fmt: skip
    try:
        await consumer.start()
        yield consumer
    except KafkaError as error:
        raise no_answer(settings, error) from error
    finally:
        await stop_consumer(consumer)


async def partitions_of(consumer: AIOKafkaConsumer, settings: KafkaSettings, topic: Topic) -> list[TopicPartition]:
    """All partitions of a topic. Raises: TopicsRefused if it is not there."""
    name = physical(settings, topic)
    if name not in await consumer.topics():
        raise TopicsRefused(f"{name} is missing. Run `daogou topics create`")
    return [TopicPartition(name, number) for number in range(await asyncio.to_thread(partition_count, settings, topic))]


async def read_to_end(settings: KafkaSettings, topic: Topic) -> AsyncIterator[Any]:
    """Every record of a topic up to where it ends now, each partition in order."""
    async with consumer_of(settings) as consumer:
        partitions = await partitions_of(consumer, settings, topic)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        async for record in _until_ends(consumer, await consumer.end_offsets(partitions), settings):
            yield record


async def stand_at_end(consumer: AIOKafkaConsumer, settings: KafkaSettings, topic: Topic) -> None:
    """Take all partitions of a topic, from now on: what comes after this returns is read by ``records_from``."""
    partitions = await partitions_of(consumer, settings, topic)
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)


async def records_from(consumer: AIOKafkaConsumer) -> AsyncIterator[Any]:
    """Every record from where the consumer stands, for ever."""
    while True:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=AT_ONCE)).values():
            for record in records:
                yield record


async def last_of_key(settings: KafkaSettings, topic: Topic, key: bytes) -> Any | None:
    """A key's last record, None where there is none. Looks backwards in widening steps, in all partitions at once."""
    async with consumer_of(settings) as consumer:
        partitions = await partitions_of(consumer, settings, topic)
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        step = FIRST_STEP_BACK
        while True:
            starts = {p: max(begins[p], ends[p] - step) for p in partitions}
            found = await _last_between(consumer, starts, ends, key, settings)
            if found is not None or starts == begins:
                return found
            step *= 10


async def _last_between(
    consumer: AIOKafkaConsumer,
    starts: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    key: bytes,
    settings: KafkaSettings,
) -> Any | None:
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    last = None
    async for record in _until_ends(consumer, ends, settings):
        if record.key == key:
            last = record
    return last


async def _until_ends(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], settings: KafkaSettings
) -> AsyncIterator[Any]:
    silent_since = monotonic()
    while any(await asyncio.gather(*(_is_before(consumer, p, end) for p, end in ends.items()))):
        found = await consumer.getmany(timeout_ms=200, max_records=AT_ONCE)
        for record in chain.from_iterable(found.values()):
            yield record
        silent_since = monotonic() if found else silent_since
        if monotonic() - silent_since > settings.request_timeout:
            raise BrokerUnavailable(f"Kafka at {settings.bootstrap_servers} went silent while a topic was read")


async def _is_before(consumer: AIOKafkaConsumer, partition: TopicPartition, end: int) -> bool:
    return bool(await consumer.position(partition) < end)
