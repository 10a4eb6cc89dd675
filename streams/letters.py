"""Reading the dead-letter topic, and sending letters back to where they came from."""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from contracts.errors import BrokerUnavailable, TopicsRefused
from contracts.messages import DeadLetter
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS
from streams.clients import connection
from streams.dead_letters import ATTEMPTS, decode_letter
from streams.names import physical
from streams.producer import Outgoing, Producer

POLL_MS = 500


def read_letters(settings: Settings, limit: int) -> list[tuple[str, DeadLetter]]:
    """The newest ``limit`` letters, oldest first, each with its PARTITION/OFFSET."""
    topic = physical(settings.kafka, DEAD_LETTERS)
    consumer = _consumer(settings)
    try:
        parts = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        if not parts:
            raise TopicsRefused(f"{topic} is missing. Run `daogou topics create`")
        first, last = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        start = {part: max(first[part], last[part] - limit) for part in parts}
        return [
            (f"{part.partition}/{record.offset}", decode_letter(record))
            for part in parts
            for record in _records(consumer, part, start[part], last[part])
        ][-limit:]
    finally:
        consumer.close()


def read_letter(settings: Settings, at: str) -> DeadLetter:
    """One letter by its PARTITION/OFFSET. Raises: TopicsRefused where there is none."""
    topic = physical(settings.kafka, DEAD_LETTERS)
    partition, _, offset = at.partition("/")
    if not (partition.isdigit() and offset.isdigit()):
        raise TopicsRefused(f"{at!r} is not PARTITION/OFFSET, as `daogou dead-letters list` shows them")
    consumer = _consumer(settings)
    try:
        part = TopicPartition(topic, int(partition))
        last = consumer.end_offsets([part]).get(part, 0)
        found = _records(consumer, part, int(offset), min(last, int(offset) + 1))
    finally:
        consumer.close()
    if not found:
        raise TopicsRefused(f"{topic} has nothing at {at}")
    return decode_letter(found[0])


def _consumer(settings: Settings) -> KafkaConsumer:
    patience = int(settings.kafka.request_timeout * 1000)
    try:
        return KafkaConsumer(
            enable_auto_commit=False, bootstrap_timeout_ms=patience, **connection(settings.kafka)
        )  # fmt: skip
    except KafkaError as error:
        raise BrokerUnavailable(
            f"no Kafka broker answers at {settings.kafka.bootstrap_servers} "
            f"({type(error).__name__}; DAOGOU_KAFKA__BOOTSTRAP_SERVERS or --broker)"
        ) from error


def _records(consumer: KafkaConsumer, part: TopicPartition, start: int, end: int) -> list[Any]:
    records: list[Any] = []
    consumer.assign([part])
    consumer.seek(part, start)
    while consumer.position(part) < end:
        records += consumer.poll(timeout_ms=POLL_MS).get(part, [])
    return [record for record in records if record.offset < end]


async def send_back(settings: Settings, letters: Sequence[DeadLetter]) -> None:
    """Produce each letter's key, value and headers to the topic that it came from."""
    producer = Producer(settings.kafka)
    await producer.start()
    try:
        await producer.send([_returned(letter) for letter in letters])
    finally:
        await producer.stop()


def _returned(letter: DeadLetter) -> Outgoing:
    headers = tuple((header.name, header.value) for header in letter.headers)
    return Outgoing(letter.topic, letter.key, letter.value, None, (*headers, (ATTEMPTS, str(letter.attempts).encode())))
