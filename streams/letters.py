"""Reading the dead-letter topic, and sending letters back to where they came from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from contracts.errors import BrokerUnavailable, Missing, TopicsRefused
from contracts.messages import DeadLetter
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM, DEAD_LETTERS
from streams.admin import partition_count
from streams.clients import connection
from streams.dead_letters import ATTEMPTS, decode_letter
from streams.login import no_answer
from streams.names import physical
from streams.producer import Outgoing, Producer

POLL_MS = 500


def read_letters(settings: Settings, limit: int) -> list[tuple[str, DeadLetter]]:
    """The newest ``limit`` letters, oldest first, each with its PARTITION/OFFSET."""
    with _reader(settings) as (consumer, parts):
        first, last = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        found = [
            (part, record)
            for part in parts
            for record in _records(settings, consumer, part, max(first[part], last[part] - limit), last[part])
        ]
    newest = sorted(found, key=lambda each: each[1].timestamp)[-limit:]
    return [(f"{part.partition}/{record.offset}", decode_letter(record)) for part, record in newest]


def read_letter(settings: Settings, at: str) -> DeadLetter:
    """One letter by its PARTITION/OFFSET. Raises: Missing where there is none, TopicsRefused."""
    number, _, offset = at.partition("/")
    if not (number.isdecimal() and offset.isdecimal()):
        raise TopicsRefused(f"{at!r} is not PARTITION/OFFSET, as `daogou dead-letters list` shows them")
    with _reader(settings) as (consumer, parts):
        part = TopicPartition(physical(settings.kafka, DEAD_LETTERS), int(number))
        begin, end = int(offset), int(offset) + 1
        there = part in parts and consumer.beginning_offsets([part])[part] <= begin < consumer.end_offsets([part])[part]
        found = _records(settings, consumer, part, begin, end) if there else []
    if not found:
        raise Missing(f"{part.topic} has nothing at {at}")
    return decode_letter(found[0])


@contextmanager
def _reader(settings: Settings) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
    """A consumer and the topic's partitions. Raises: TopicsRefused, AccessRefused, BrokerUnavailable."""
    count = partition_count(settings.kafka, DEAD_LETTERS)
    patience = int(settings.kafka.request_timeout * 1000)
    try:
        consumer = KafkaConsumer(
            enable_auto_commit=False, bootstrap_timeout_ms=patience, **connection(settings.kafka)
        )  # fmt: skip
        try:
            yield consumer, [TopicPartition(physical(settings.kafka, DEAD_LETTERS), n) for n in range(count)]
        finally:
            consumer.close()
    except KafkaError as error:
        raise no_answer(settings.kafka, error) from error


def _records(settings: Settings, consumer: KafkaConsumer, part: TopicPartition, start: int, end: int) -> list[Any]:
    records: list[Any] = []
    consumer.assign([part])
    consumer.seek(part, start)
    deadline = monotonic() + settings.kafka.request_timeout
    while consumer.position(part) < end:
        found = consumer.poll(timeout_ms=POLL_MS).get(part, [])
        deadline = monotonic() + settings.kafka.request_timeout if found else deadline
        if monotonic() > deadline:  # this client says nothing when the broker goes, or when it may not READ
            raise BrokerUnavailable(f"{part.topic}/{part.partition}: nothing comes, short of its end; may it be read?")
        records += found
    return [record for record in records if record.offset < end]


def returned(settings: Settings, letters: Sequence[DeadLetter]) -> list[Outgoing]:
    """Each letter's key, value and headers for the topic that it came from.

    Raises:
        TopicsRefused: a letter says that it came from elsewhere than the topics that we read; none is sent then.
    """
    ours = {physical(settings.kafka, topic) for topic in (CLICKSTREAM, CATALOGUE)}
    for letter in letters:
        if letter.topic not in ours:
            raise TopicsRefused(f"a letter from {letter.topic!r} is not sent back: only from {', '.join(sorted(ours))}")
    return list(map(_returned, letters))


async def send_back(settings: Settings, letters: Sequence[DeadLetter]) -> None:
    """Produce letters to where they came from. Raises: TopicsRefused, as ``returned``; BrokerUnavailable."""
    records, producer = returned(settings, letters), Producer(settings.kafka)
    await producer.start()
    try:
        await producer.send(records)
    finally:
        await producer.stop()


def _returned(letter: DeadLetter) -> Outgoing:
    headers = tuple((header.name, header.value) for header in letter.headers)
    return Outgoing(letter.topic, letter.key, letter.value, None, (*headers, (ATTEMPTS, str(letter.attempts).encode())))
