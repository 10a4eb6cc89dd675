"""One shopper's profile: found wherever it lies, and forgotten by an event, so that a replay forgets it again."""

import asyncio
from time import monotonic, time
from typing import NamedTuple
from uuid import uuid4

from contracts.codec import encode_json
from contracts.errors import Unavailable
from contracts.events import Forget, UserId
from contracts.profile import Profile
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM
from streams.names import physical
from streams.producer import Outgoing, Producer
from streams.store import ProfileKey, ProfileStore

LOOK_AGAIN_SECONDS = 0.05


class Found(NamedTuple):
    """A profile and where it lies."""

    partition: int
    profile: Profile


async def find(settings: Settings, store: ProfileStore, user: UserId) -> list[Found]:
    """The shopper's profile: one, none, or several where the shop's producers disagree on partitions."""
    keys = [ProfileKey(partition, user) for partition in range(settings.kafka.partitions)]
    loaded = zip(keys, await store.load(keys), strict=True)
    return [Found(key.partition, profile) for key, profile in loaded if profile is not None]


async def forget(settings: Settings, store: ProfileStore, user: UserId, seconds: float) -> int:
    """Publish a Forget wherever the shopper is known (else where their key belongs), and wait until it is applied.

    Returns how many profiles were erased. Raises: Unavailable if no worker applied it within ``seconds``.
    """
    asked_ms = int(time() * 1000)
    known = {found.partition for found in await find(settings, store, user)}
    await _publish(settings, user, asked_ms, known)
    deadline = monotonic() + seconds
    while True:
        now = await find(settings, store, user)
        if now and all(found.profile.erased_ms >= asked_ms for found in now):
            return len(known)
        if monotonic() > deadline:
            raise Unavailable(f"no worker has applied it within {seconds:g} s; it is in the log and will be applied")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _publish(settings: Settings, user: UserId, asked_ms: int, partitions: set[int]) -> None:
    topic, value = physical(settings.kafka, CLICKSTREAM), forgetting(user, asked_ms)
    producer = Producer(settings.kafka)
    await producer.start()
    try:
        places: list[int | None] = [*sorted(partitions)] or [None]
        await producer.send([Outgoing(topic, user.encode(), value, place) for place in places])
    finally:
        await producer.stop()


def forgetting(user: UserId, asked_ms: int) -> bytes:
    """The event that erases a shopper's profile, as it goes into the clickstream."""
    return encode_json(Forget(event_id=uuid4().hex, user_id=user, time_ms=asked_ms))
