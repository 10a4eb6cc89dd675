"""What a user would write instead: a raw aiokafka loop, and Faust as its manual says. Same work a record in both."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from contracts.codec import decode_event, encode_json
from contracts.events import RecommendationId, UserId
from contracts.messages import Slate, Trigger

Work = Callable[[Any], tuple[bytes, bytes]]


def trivial_slate(record: Any) -> tuple[bytes, bytes]:
    """Decode the event, answer it with an empty slate: all that the plumbing has to carry."""
    event = decode_event(record.value, record.key, record.headers, record.timestamp)
    slate = Slate(
        recommendation_id=RecommendationId(event.event_id),
        user_id=UserId(event.user_id),
        surface="home",
        items=(),
        trigger=Trigger(
            event_id=event.event_id,  # type: ignore[arg-type]
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            time_ms=event.time_ms,
        ),
        profile_version=1,
        bundle=None,
    )
    return record.key, encode_json(slate)


async def send_all(producer: AIOKafkaProducer, topic: str, answers: list[tuple[int, bytes, bytes]]) -> None:
    """Send (partition, key, value) in whole batches and wait until every one is acknowledged."""
    sent: list[asyncio.Future[Any]] = []
    open_batches: dict[int, Any] = {}
    for partition, key, value in answers:
        batch = open_batches.get(partition)
        if batch is None or batch.append(key=key, value=value, timestamp=None) is None:
            if batch is not None:
                sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = open_batches[partition] = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    for partition, batch in open_batches.items():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


async def raw_loop(broker: str, source: str, sink: str, total: int, group: str) -> float:
    """Consume, work, produce (idempotent, awaited), commit about once a second. Returns the seconds that it took."""
    consumer = AIOKafkaConsumer(
        source, bootstrap_servers=broker, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        max_poll_records=2000, fetch_max_wait_ms=100, max_partition_fetch_bytes=4 << 20,
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=256 << 10
    )
    await consumer.start()
    await producer.start()
    try:
        return await _consume(consumer, producer, sink, total)
    finally:
        await consumer.stop()
        await producer.stop()


async def _consume(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, sink: str, total: int) -> float:
    done, started, committed = 0, 0.0, perf_counter()
    while done < total:
        runs: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=200)
        started = started or (perf_counter() if runs else 0.0)
        answers = [(tp.partition, *trivial_slate(record)) for tp, run in runs.items() for record in run]
        if answers:
            await send_all(producer, sink, answers)
            done += len(answers)
        if perf_counter() - committed > 1.0:
            await consumer.commit()
            committed = perf_counter()
    await consumer.commit()
    return perf_counter() - started


async def raw_echo(broker: str, source: str, sink: str, stop: Callable[[], Awaitable[bool]], group: str) -> None:
    """Answer each record as it comes, until told to stop: the floor of freshness."""
    consumer = AIOKafkaConsumer(
        source, bootstrap_servers=broker, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=broker, acks="all", enable_idempotence=True, linger_ms=0)
    await consumer.start()
    await producer.start()
    try:
        while not await stop():
            for run in (await consumer.getmany(timeout_ms=100)).values():
                await send_all(producer, sink, [(r.partition, *trivial_slate(r)) for r in run])
            await consumer.commit()
    finally:
        await consumer.stop()
        await producer.stop()
