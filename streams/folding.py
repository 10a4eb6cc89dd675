"""Records -> events -> profiles: the pure middle of the way of a click."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from contracts.codec import decode_event
from contracts.errors import BadInput
from contracts.events import AnyEvent, EventId, UserId, erases
from contracts.messages import Trigger
from contracts.profile import Outcome, Position, Profile, apply
from streams.store import ProfileKey


class Decoded(NamedTuple):
    """A record that is an event."""

    record: Any
    event: AnyEvent

    @property
    def key(self) -> ProfileKey:
        """Whose profile it changes."""
        return ProfileKey(self.record.partition, UserId(self.event.user_id))


class Undecoded(NamedTuple):
    """A record that is none, and why."""

    record: Any
    error: BadInput


class Lesson(NamedTuple):
    """A new event and the profile before it: what the shared statistics learn from."""

    before: Profile
    event: AnyEvent


class Judged(NamedTuple):
    """What became of one record."""

    offset: int
    outcome: Outcome


class Folded(NamedTuple):
    """One shopper after a batch. ``expected`` is the version that was loaded.

    ``erased``: nothing is left to recommend from, and nothing was answered since; the last slate must go too.
    """

    key: ProfileKey
    profile: Profile
    expected: int
    judged: tuple[Judged, ...]
    lessons: tuple[Lesson, ...]
    last: Decoded | None
    erased: bool

    @property
    def changed(self) -> bool:
        """Whether there is anything to save."""
        return self.profile.version != self.expected

    @property
    def owed(self) -> Decoded | None:
        """The record that a slate is owed to: the batch's last answered one, if none after it was answered before.

        So a redelivered batch repeats its slate, and does not bring back one that a newer slate has replaced.
        """
        return self.last if self.last is not None and self.profile.answered == self.last.record.offset else None


def decode(records: Iterable[Any], limit: int) -> tuple[list[Decoded], list[Undecoded]]:
    """Every record is one or the other."""
    good, bad = [], []
    for record in records:
        try:
            event = decode_event(record.value, record.key, record.headers, record.timestamp, limit)
            good.append(Decoded(record, event))
        except BadInput as error:
            bad.append(Undecoded(record, error))
    return good, bad


def by_shopper(decoded: Iterable[Decoded]) -> dict[ProfileKey, list[Decoded]]:
    """In the order of the log for each shopper."""
    shoppers: dict[ProfileKey, list[Decoded]] = {}
    for each in decoded:
        shoppers.setdefault(each.key, []).append(each)
    return shoppers


def fold_shopper(key: ProfileKey, loaded: Profile | None, events: Sequence[Decoded], epoch: str) -> Folded:
    """All of a shopper's events of the batch, each once."""
    profile = loaded or Profile(key.user)
    judged, lessons, last, erasing = [], [], None, False
    for each in events:
        before = profile
        profile, outcome = apply(before, Position(epoch, each.record.partition, each.record.offset), each.event)
        judged.append(Judged(each.record.offset, outcome))
        if outcome is Outcome.APPLIED:
            lessons.append(Lesson(before, each.event))
        if profile.answered == each.record.offset:
            last = each
        erasing = erasing or erases(each.event)
    version = loaded.version if loaded else 0
    erased = erasing and profile.answered < 0
    return Folded(key, profile, version, tuple(judged), tuple(lessons), last, erased)


def trigger_of(each: Decoded) -> Trigger:
    """The receipt's first line: which event is answered."""
    record = each.record
    return Trigger(
        event_id=EventId(each.event.event_id),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        time_ms=each.event.time_ms,
    )
