"""Is what we know what the log says? Every record accounted for, every profile folded afresh, every slate the last.

Partition after partition, so memory holds the profiles of one partition's shoppers (some kilobytes each), the names
of all shoppers, one bit a record and one number a dead letter.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from msgspec.structs import asdict

from contracts.codec import decode_event, decode_slate, encode_profile
from contracts.errors import BadInput, Corrupted, Reason
from contracts.events import ANSWERED, AnyEvent, UserId, erases, kind_of
from contracts.messages import Trigger
from contracts.profile import Outcome, Position, Profile, apply
from contracts.settings import Settings
from contracts.topics import CLICKSTREAM, DEAD_LETTERS, RECOMMENDATIONS
from streams.admin import lag
from streams.dead_letters import decode_letter
from streams.replay import Log, Span
from streams.store import ProfileKey, ProfileStore
from streams.verify_report import Difference, Report

AT_ONCE = 500
LOOK_AGAIN_SECONDS = 0.25

Say = Callable[[int, int], None]
#: Why each record of the clickstream (partition, offset) was dead-lettered, as often as it was.
Letters = defaultdict[tuple[int, int], list[Reason]]


async def verify(settings: Settings, store: ProfileStore, say: Say = lambda _done, _total: None) -> Report:
    """Compare the store and the topics with the log. ``say`` hears (records done, records in all).

    Run it when no events come in, or accept that shoppers who act meanwhile are counted as ``profiles_ahead``.

    Raises:
        BrokerUnavailable, StoreUnavailable, TopicsRefused: it could not be looked at.
    """
    began, report = monotonic(), Report()
    report.lag = await _lag(settings)
    async with Log(settings.kafka) as log:
        clicks = await log.spans(CLICKSTREAM)
        slates = {span.partition: span for span in await log.spans(RECOMMENDATIONS)}
        letters = await _letters(log, report)
        total, known = sum(span.end - span.begin for span in (*clicks, *slates.values())), set[ProfileKey]()
        for span in clicks:
            audit = PartitionAudit(span, log.epoch(CLICKSTREAM), letters, settings.stream.event_limit, report)
            async for records in log.read(span):
                audit.fold(records)
                say(_done(report), total)
            async for records in log.read(slates[span.partition]):
                audit.note_slates(records)
                say(_done(report), total)
            known |= await audit.compare(store)
    await _strangers(store, known, clicks, report)
    report.seconds = round(monotonic() - began, 3)
    return report


async def wait_until_read(settings: Settings, seconds: float) -> int:
    """Wait until the workers' group has committed everything, at most ``seconds``. Returns the lag that is left."""
    deadline = monotonic() + seconds
    while (left := await _lag(settings)) and monotonic() < deadline:  # noqa: ASYNC110  Kafka calls nobody back
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return left


async def _lag(settings: Settings) -> int:
    return sum(part.lag for part in await asyncio.to_thread(lag, settings.kafka, settings.stream.group))


def _done(report: Report) -> int:
    return report.records + report.slates


async def _letters(log: Log, report: Report) -> Letters:
    letters: Letters = defaultdict(list)
    clickstream = (await log.spans(CLICKSTREAM))[0].topic
    for span in await log.spans(DEAD_LETTERS):
        async for records in log.read(span):
            found = map(decode_letter, records)
            for letter in found:
                if letter.topic == clickstream:
                    letters[letter.partition, letter.offset].append(letter.reason)
    report.dead_letters_repeated = sum(map(len, letters.values())) - len(letters)
    return letters


async def _strangers(store: ProfileStore, known: set[ProfileKey], clicks: Sequence[Span], report: Report) -> None:
    """Profiles of shoppers of whom the log knows nothing."""
    whole = {span.partition for span in clicks if span.begin == 0}
    async for key in store.scan():
        if key not in known and (key.partition in whole or key.partition >= len(clicks)):
            known.add(key)  # a scan may name it again
            report.profiles_strange += 1
            detail = "there is a profile, but no event of this shopper in this partition"
            report.differs(Difference(kind="strange profile", partition=key.partition, user=key.user, detail=detail))


class PartitionAudit:
    """One partition of the clickstream, its profiles and its slates."""

    def __init__(self, span: Span, epoch: str, letters: Letters, event_limit: int, report: Report) -> None:
        self._span, self._epoch, self._letters = span, epoch, letters
        self._limit, self._report = event_limit, report
        self._profiles: dict[UserId, Profile] = {}
        self._forgotten: set[UserId] = set()
        self._last_slate: dict[UserId, Trigger | None] = {}
        self._answered = bytearray((span.end >> 3) + 1)
        report.deleted += span.begin

    def fold(self, records: Sequence[Any]) -> None:
        """Account for records of the clickstream, in their order."""
        for record in records:
            self._report.records += 1
            reasons = self._letters.get((self._span.partition, record.offset), ())
            try:
                event = decode_event(record.value, record.key, record.headers, record.timestamp, self._limit)
            except BadInput as error:
                self._unreadable(record.offset, error, bool(reasons))
                continue
            if set(reasons) <= {Reason.OUTPUT_REFUSED}:  # else it was readable, and broke its batch: never applied
                self._report.applied_and_dead_lettered += bool(reasons)
                self._apply(record.offset, event)
            else:
                self._report.dead_lettered += 1

    def _unreadable(self, offset: int, error: BadInput, lettered: bool) -> None:
        if lettered:
            self._report.dead_lettered += 1
            return
        self._report.lost += 1
        self._differs("lost record", f"no event ({error.reason.value}) and not dead-lettered", offset=offset)

    def _apply(self, offset: int, event: AnyEvent) -> None:
        user = UserId(event.user_id)
        position = Position(self._epoch, self._span.partition, offset)
        self._profiles[user], outcome = apply(self._profiles.get(user), position, event)
        self._report.applied += outcome is Outcome.APPLIED
        self._report.duplicates += outcome is Outcome.DUPLICATE
        if erases(event):
            self._forgotten.add(user)
        elif kind_of(event) in ANSWERED:
            self._forgotten.discard(user)

    def note_slates(self, records: Sequence[Any]) -> None:
        """Note what was published last for each shopper, and what more than once."""
        for record in records:
            user = UserId((record.key or b"").decode(errors="replace"))
            if record.value is None:
                self._last_slate[user] = None
                continue
            self._report.slates += 1
            try:
                self._last_slate[user] = trigger = decode_slate(record.value).trigger
            except BadInput as error:
                self._differs("unreadable slate", str(error), user=user)
            else:
                self._report.slates_repeated += self._seen(trigger.offset)

    def _seen(self, offset: int) -> bool:
        """Whether this record was answered before; notes that it is now."""
        place, bit = offset >> 3, 1 << (offset & 7)
        if place >= len(self._answered):
            self._answered.extend(bytes(place + 1 - len(self._answered)))
        before = self._answered[place] & bit
        self._answered[place] |= bit
        return bool(before)

    async def compare(self, store: ProfileStore) -> set[ProfileKey]:
        """Every profile with the store's, every last slate with what is owed. Returns the shoppers of the log."""
        keys = [ProfileKey(self._span.partition, user) for user in self._profiles]
        self._report.shoppers += len(keys)
        for at in range(0, len(keys), AT_ONCE):
            some = keys[at : at + AT_ONCE]
            for key, stored in zip(some, await _loaded(store, some), strict=True):
                self._compare_profile(key.user, stored)
                self._compare_slate(key.user)
        return set(keys)

    def _compare_profile(self, user: UserId, stored: Profile | Corrupted | None) -> None:
        expected = self._profiles[user]
        if stored is None:
            self._report.profiles_missing += 1
            self._differs("missing profile", f"the log makes version {expected.version}", user=user)
        elif isinstance(stored, Corrupted):
            self._report.profiles_different += 1
            self._differs("unreadable profile", str(stored), user=user)
        elif self._same(expected, stored):
            self._report.profiles_equal += 1
        elif stored.position and stored.position.epoch == self._epoch and stored.position.offset >= self._span.end:
            self._report.profiles_ahead += 1
        else:
            self._report.profiles_different += 1
            self._differs("different profile", _how(expected, stored), user=user)

    def _same(self, expected: Profile, stored: Profile) -> bool:
        """As bytes; where retention took the beginning of the log, only where they stand."""
        if self._span.begin > 0:
            return (expected.position, expected.answered) == (stored.position, stored.answered)
        return encode_profile(expected) == encode_profile(stored)

    def _compare_slate(self, user: UserId) -> None:
        owed, last = self._profiles[user].answered, self._last_slate.get(user)
        if owed >= 0:
            self._report.slates_owed += 1
            if last is None or (last.offset != owed and last.offset < self._span.end):
                self._report.slates_lost += 1
                found = f"the last one answers {last.offset}" if last else "there is none"
                self._differs("lost slate", f"no slate for the last event; {found}", user=user, offset=owed)
        elif user in self._forgotten and last is not None:
            self._report.slates_of_forgotten += 1
            self._differs("slate of a forgotten shopper", f"it answers {last.offset}", user=user, offset=last.offset)

    def _differs(self, kind: str, detail: str, user: str = "", offset: int = -1) -> None:
        partition = self._span.partition
        self._report.differs(Difference(kind=kind, partition=partition, detail=detail, user=user, offset=offset))


async def _loaded(store: ProfileStore, keys: Sequence[ProfileKey]) -> Sequence[Profile | Corrupted | None]:
    try:
        return await store.load(keys)
    except Corrupted as error:
        if len(keys) == 1:
            return [error]
        return [found for key in keys for found in await _loaded(store, [key])]


def _how(expected: Profile, stored: Profile) -> str:
    theirs = asdict(stored)
    fields = [name for name, value in asdict(expected).items() if value != theirs[name]]
    return f"{', '.join(fields)} differ: it stands at {_stand(stored)}, the log makes {_stand(expected)}"


def _stand(profile: Profile) -> str:
    return f"offset {profile.position.offset if profile.position else 'none'}, version {profile.version}"
