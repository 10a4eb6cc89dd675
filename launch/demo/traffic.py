"""Shoppers through Kafka, like any shop: events onto the clickstream, slates from the recommendations topic."""

import asyncio
from collections.abc import Callable, Sequence
from time import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.codec import decode_slate, encode_json
from contracts.errors import BrokerUnavailable
from contracts.events import AnyEvent, UserId
from contracts.messages import Slate
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM
from launch.demo.figures import Figures
from launch.demo.plan import BESTSELLERS, Arrival, arm_of
from launch.shop.bestsellers import Bestsellers
from launch.shop.choices import chance_of_click
from launch.shop.shoppers import Shopper, Shown
from launch.topic_reader import records_from
from streams.clients import connection
from streams.names import partition_of, physical

Witness = Callable[[AnyEvent], None]


class Homes:
    """What each shopper's home page shows: the last slate that came for them, or the bestsellers of the moment."""

    def __init__(self, crowd: Sequence[Shopper], bestsellers: Bestsellers, figures: Figures) -> None:
        self.slates: dict[UserId, Slate] = {}
        self._crowd = {shopper.user_id: shopper for shopper in crowd}
        self._bestsellers, self._figures = bestsellers, figures
        self._lists = 0

    def show(self, user_id: UserId) -> Shown | None:
        """The list; None as long as no slate has come."""
        arm = arm_of(user_id)
        shown = self._bestsellers_now() if arm == BESTSELLERS else self._slate(user_id)
        if shown is not None:
            shopper = self._crowd[user_id]
            worth = chance_of_click(shopper.appeals(shown.items))
            self._figures.could_have(arm, worth, shopper.best_chance(len(shown.items)))
        return shown

    def _bestsellers_now(self) -> Shown:
        self._lists += 1
        return Shown(self._bestsellers.top(), f"{BESTSELLERS}-{self._lists}")

    def _slate(self, user_id: UserId) -> Shown | None:
        slate = self.slates.get(user_id)
        if slate is None or not slate.items:
            return None
        return Shown(tuple(item.item_id for item in slate.items), slate.recommendation_id)


class Traffic:
    """The live part: acts at their times, slates as they come."""

    def __init__(
        self, settings: Settings, crowd: Sequence[Shopper], homes: Homes, bestsellers: Bestsellers, figures: Figures
    ) -> None:
        self._settings, self._crowd, self._homes = settings.kafka, crowd, homes
        self._bestsellers, self._figures = bestsellers, figures
        self._topic = physical(settings.kafka, CLICKSTREAM)
        self._unacknowledged: set[asyncio.Future[Any]] = set()
        self._live_ms = 0

    async def has_slates(self) -> bool:
        """Whether anybody has a slate yet."""
        return bool(self._homes.slates)

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        """Take every slate as it comes, for ever. The consumer stands where the demo began."""
        async for record in records_from(consumer):
            if record.value is not None:
                self._take(decode_slate(record.value), time())

    async def run(self, schedule: Sequence[Arrival], witness: Witness) -> None:
        """Everything on the schedule, each at its time. ``witness`` sees each event. Raises: BrokerUnavailable."""
        producer = AIOKafkaProducer(acks="all", enable_idempotence=True, linger_ms=0, **connection(self._settings))
        await producer.start()
        try:
            await self._act(schedule, producer, witness)
            await self._acknowledged()
        finally:
            await producer.stop()

    def _take(self, slate: Slate, now: float) -> None:
        self._homes.slates[slate.user_id] = slate
        if self._live_ms and slate.trigger.time_ms >= self._live_ms:
            self._figures.received(slate, now - slate.trigger.time_ms / 1000)

    async def _act(self, schedule: Sequence[Arrival], producer: AIOKafkaProducer, witness: Witness) -> None:
        started = time()
        self._live_ms = int(started * 1000)
        for arrival in schedule:
            due = started + arrival.due
            await asyncio.sleep(max(0.0, due - time()))
            # the event's time is when it was due: what the generator is late counts as staleness
            event = self._crowd[arrival.shopper].step(int(due * 1000), self._homes.show)
            self._figures.sent(event, time() - due)
            self._bestsellers.learn(event)
            witness(event)
            await self._send(producer, event)

    async def _send(self, producer: AIOKafkaProducer, event: AnyEvent) -> None:
        key = event.user_id.encode()
        partition = partition_of(key, self._settings.partitions)
        sent = await producer.send(self._topic, encode_json(event), key, partition=partition)
        self._unacknowledged.add(sent)
        sent.add_done_callback(self._settle)

    def _settle(self, sent: "asyncio.Future[Any]") -> None:
        if not sent.cancelled() and sent.exception() is None:
            self._unacknowledged.discard(sent)

    async def _acknowledged(self) -> None:
        for error in await asyncio.gather(*self._unacknowledged, return_exceptions=True):
            if isinstance(error, BaseException):
                raise BrokerUnavailable(f"Kafka did not take an event: {error}") from error
