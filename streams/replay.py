"""The log from its beginning: a plain consumer without a group, partition by partition, up to the end seen at start."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.errors import BrokerUnavailable, TopicsRefused
from contracts.settings import KafkaSettings
from contracts.topics import Topic
from streams.admin import TopicState, describe_topics
from streams.clients import connection
from streams.login import no_answer
from streams.names import physical
from streams.stopping import stop_consumer

AT_ONCE = 5_000
FETCH_BYTES = 4 << 20
POLL_MS = 1_000
SILENT_POLLS = 30


class Span(NamedTuple):
    """The records of one partition that are read: from ``begin`` up to, not with, ``end``."""

    topic: str
    partition: int
    begin: int
    end: int


class Log:
    """Reads topics. ``async with Log(settings.kafka) as log: ...``

    Raises:
        BrokerUnavailable: no broker answers, or it stopped answering.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._states: dict[str, TopicState] = {}
        self._consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=FETCH_BYTES,
            request_timeout_ms=int(settings.request_timeout * 1000), **connection(settings),
        )  # fmt: skip

    async def __aenter__(self) -> "Log":
        states = await asyncio.to_thread(describe_topics, self._settings)
        self._states = {state.topic: state for state in states}
        try:
            await self._consumer.start()
        except KafkaError as error:
            await stop_consumer(self._consumer)
            raise no_answer(self._settings, error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_consumer(self._consumer)

    def epoch(self, topic: Topic) -> str:
        """The id of this life of a topic. Raises: TopicsRefused if it is missing."""
        return self._state(topic).epoch

    async def spans(self, topic: Topic) -> tuple[Span, ...]:
        """What each partition holds now. Raises: TopicsRefused if the topic is missing."""
        state = self._state(topic)
        places = [TopicPartition(state.topic, partition) for partition in range(state.partitions)]
        try:
            begins = await self._consumer.beginning_offsets(places)
            ends = await self._consumer.end_offsets(places)
        except KafkaError as error:
            raise no_answer(self._settings, error) from error
        return tuple(Span(state.topic, place.partition, begins[place], ends[place]) for place in places)

    async def read(self, span: Span) -> AsyncIterator[list[Any]]:
        """The records of a span, in order, some thousands at a time. One span at a time."""
        place = TopicPartition(span.topic, span.partition)
        self._consumer.assign([place])
        self._consumer.seek(place, span.begin)
        silent = 0
        while await self._position(place) < span.end:
            found = (await self._poll(place)).get(place, [])
            silent = 0 if found else silent + 1
            if silent > SILENT_POLLS:
                raise BrokerUnavailable(f"{span.topic}/{span.partition}: nothing came for {silent} s, short of its end")
            if found:
                yield [record for record in found if record.offset < span.end]

    async def _poll(self, place: TopicPartition) -> dict[TopicPartition, list[Any]]:
        try:
            return await self._consumer.getmany(place, timeout_ms=POLL_MS, max_records=AT_ONCE)  # type: ignore[no-any-return]
        except KafkaError as error:
            raise no_answer(self._settings, error) from error

    async def _position(self, place: TopicPartition) -> int:
        return int(await self._consumer.position(place))

    def _state(self, topic: Topic) -> TopicState:
        state = self._states[physical(self._settings, topic)]
        if not state.partitions:
            raise TopicsRefused(f"{state.topic} is missing. Run `daogou topics create`")
        return state
