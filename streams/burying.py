"""Sends dead letters: key, value and headers as they came. If even that cannot be sent, nothing is acked."""

from collections import Counter
from collections.abc import Sequence
from time import time

import structlog
from msgspec.structs import replace

from contracts.errors import Oversize
from contracts.messages import DeadLetter
from contracts.metrics import Metrics
from contracts.settings import Settings
from contracts.topics import DEAD_LETTERS
from streams.dead_letters import encode_headers, letter_of
from streams.folding import Undecoded
from streams.names import physical
from streams.producer import Outgoing, Producer

log = structlog.get_logger()


class Burying:
    """The dead-letter topic of this shop."""

    def __init__(self, settings: Settings, producer: Producer, metrics: Metrics) -> None:
        self._topic, self._group = physical(settings.kafka, DEAD_LETTERS), settings.stream.group
        self._producer, self._metrics = producer, metrics

    async def send(self, bad: Sequence[Undecoded]) -> None:
        """All of them; returns once Kafka has them. Raises: BrokerUnavailable."""
        letters = [letter_of(each.record, each.error, int(time() * 1000), self._group) for each in bad]
        try:
            await self._producer.send([self._outgoing(letter) for letter in letters])
        except Oversize:
            for letter in letters:
                await self._send_one(letter)
        for reason, count in Counter(letter.reason for letter in letters).items():
            self._metrics.dead_letters.labels(reason.value).inc(count)

    async def _send_one(self, letter: DeadLetter) -> None:
        try:
            await self._producer.send([self._outgoing(letter)])
        except Oversize:
            place = f"{letter.topic}/{letter.partition}/{letter.offset}"
            log.error("a dead letter is larger than its topic takes; it goes without its value", place=place)
            where = f"{letter.message}; too large for this topic with its headers: the value is at {place}"
            await self._producer.send([self._outgoing(replace(letter, message=where, value=None, headers=()))])

    def _outgoing(self, letter: DeadLetter) -> Outgoing:
        return Outgoing(self._topic, letter.key, letter.value, None, tuple(encode_headers(letter)))
