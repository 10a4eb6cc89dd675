"""Files of events into the clickstream: as fast as it goes, at a rate, or at a multiple of the recorded pace.

Bad rows are counted and named, and never stop the others. Every event that is counted was acknowledged by Kafka.
"""

import asyncio
import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from msgspec import Struct

from contracts.codec import encode_json
from contracts.dialects.dataset import row_to_event, untimed
from contracts.errors import BadInput, EnvironmentRefused
from contracts.events import AnyEvent
from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM
from streams.admin import check_topics
from streams.names import partition_of, physical
from streams.producer import Outgoing, Producer

CHUNK = 2_000


class Refusal(Struct, kw_only=True):
    """Rows refused for one reason: how many, and the first of them by its line number, from 1."""

    reason: str
    rows: int
    first_row: int
    message: str


class Published(Struct, kw_only=True):
    """What was published. ``untimed``: events whose data set has no times; theirs were made up."""

    events: int = 0
    untimed: int = 0
    refused: dict[str, Refusal] = {}
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds if self.seconds else 0.0

    def refuse(self, row: int, error: BadInput) -> None:
        """Count a bad row."""
        reason = error.reason.value
        seen = self.refused.setdefault(reason, Refusal(reason=reason, rows=0, first_row=row, message=str(error)))
        seen.rows += 1


class Speed(NamedTuple):
    """When an event is due. ``rate``: events a second; ``pace``: times the recorded pace; neither: at once."""

    rate: float | None = None
    pace: float | None = None

    def due(self, place: int, since_first_ms: int) -> float:
        """Seconds after the start at which the event of this place (from 0) is to be sent."""
        if self.rate:
            return place / self.rate
        return since_first_ms / 1000 / self.pace if self.pace else 0.0


def find_events(path: Path) -> Path:
    """The events file of a folder, or the file itself. Raises: EnvironmentRefused."""
    return find_file(path, ("events.jsonl.gz", "events.jsonl"))


def find_file(path: Path, names: tuple[str, ...]) -> Path:
    """``path`` if it is a file, else the first of ``names`` in it. Raises: EnvironmentRefused."""
    for candidate in (path, *(path / name for name in names)):
        if candidate.is_file():
            return candidate
    raise EnvironmentRefused(f"{path}: neither a file nor a folder with {' or '.join(names)}")


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, unpacked where it is gzip."""
    packed = path.open("rb").read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        yield from file


def events_of(path: Path, limit: int | None, published: Published) -> Iterator[AnyEvent]:
    """The events of a file, at most ``limit`` rows; bad rows are counted in ``published``."""
    for number, row in enumerate(lines_of(path)):
        if number == limit:
            return
        try:
            event = row_to_event(row, number)
        except BadInput as error:
            published.refuse(number + 1, error)
        else:
            published.untimed += untimed(event)
            yield event


class Publisher:
    """Sends events to the clickstream. ``stop`` ends it after what is under way."""

    def __init__(self, settings: KafkaSettings, say: Callable[[Published], None] = lambda _: None) -> None:
        self._topic, self._partitions = physical(settings, CLICKSTREAM), settings.partitions
        self._producer = Producer(settings)
        self._say, self._stopped = say, asyncio.Event()
        self._place_of: dict[bytes, int] = {}
        self._settings = settings

    def stop(self) -> None:
        """End soon, cleanly."""
        self._stopped.set()

    async def publish(self, path: Path, speed: Speed, limit: int | None = None) -> Published:
        """Publish a file. Raises: BrokerUnavailable, TopicsRefused, EnvironmentRefused."""
        published = Published()
        await asyncio.to_thread(check_topics, self._settings, (CLICKSTREAM,))
        await self._producer.start()
        try:
            await self._publish(events_of(find_events(path), limit, published), speed, published)
        finally:
            await self._producer.stop()
        return published

    async def _publish(self, events: Iterator[AnyEvent], speed: Speed, published: Published) -> None:
        started, waiting, first_ms = monotonic(), list[Outgoing](), None
        for place, event in enumerate(events):
            first_ms = event.time_ms if first_ms is None else first_ms
            due = started + speed.due(place, event.time_ms - first_ms)
            if len(waiting) == CHUNK or (waiting and due > monotonic()):
                await self._send(waiting, started, published)
            await self._until(due)
            if self._stopped.is_set():
                break
            waiting.append(self._record(event))
        await self._send(waiting, started, published)

    async def _send(self, waiting: list[Outgoing], started: float, published: Published) -> None:
        await self._producer.send(waiting)
        published.events += len(waiting)
        published.seconds = monotonic() - started
        waiting.clear()
        self._say(published)

    async def _until(self, due: float) -> None:
        if (left := due - monotonic()) > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), left)

    def _record(self, event: AnyEvent) -> Outgoing:
        key = event.user_id.encode()
        place = self._place_of.get(key)
        if place is None:
            place = self._place_of[key] = partition_of(key, self._partitions)
        return Outgoing(self._topic, key, encode_json(event), place)
