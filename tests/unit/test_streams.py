"""The pure parts of the stream: whose slate is owed, which late one is not, letters, epochs, the watchdog."""

from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from contracts.codec import encode_json
from contracts.errors import BadInput, Reason, Stuck, Unreadable
from contracts.events import AnyEvent, Consent, Forget, Impression, UserId, View
from contracts.profile import Outcome, Profile
from launch.health import Health
from streams.dead_letters import decode_letter, encode_headers, letter_of
from streams.epochs import Epochs
from streams.folding import Decoded, Folded, by_shopper, fold_shopper
from streams.late import superseded
from streams.progress import Progress
from streams.store import ProfileKey
from streams.watchdog import Watchdog

LIMIT = 1_000_000
T0 = 1_767_225_600_000


class Record(NamedTuple):
    offset: int
    value: bytes | None = None
    key: bytes | None = b"u1"
    partition: int = 0
    topic: str = "clickstream"
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = T0


def event(kind: type, number: int, **fields: Any) -> AnyEvent:
    return kind(event_id=f"e{number}", user_id="u1", time_ms=T0, **fields)


def decoded(offset: int, what: AnyEvent) -> Decoded:
    return Decoded(Record(offset, encode_json(what)), what)


def view(offset: int) -> Decoded:
    return decoded(offset, event(View, offset, item_id="i1"))


def fold(events: list[Decoded], loaded: Profile | None = None) -> Folded:
    return fold_shopper(ProfileKey(0, UserId("u1")), loaded, events, "life")


def test_the_last_answered_record_of_a_batch_is_owed_a_slate() -> None:
    folded = fold([view(0), view(1), decoded(2, event(Impression, 2, items=("i1",)))])
    assert folded.owed is not None
    assert folded.owed.record.offset == 1
    assert len(folded.lessons) == 3


def test_a_repeat_is_owed_its_slate_again_but_not_an_older_one() -> None:
    first, second = [view(0), view(1)], [view(2)]
    after_first = fold(first).profile
    assert fold(first, after_first).owed == first[-1]
    assert not fold(first, after_first).changed
    after_both = fold(second, after_first).profile
    assert fold(first, after_both).owed is None
    assert [outcome for _, outcome in fold(first, after_both).judged] == [Outcome.REPEATED] * 2


@pytest.mark.parametrize("erasing", [event(Forget, 9), event(Consent, 9, granted=False)])
def test_an_erased_profile_takes_its_slate_along_unless_it_was_answered_since(erasing: AnyEvent) -> None:
    assert fold([view(0), decoded(1, erasing)]).erased
    assert not fold([decoded(0, erasing), view(1)]).erased
    newer = fold([view(0), decoded(1, erasing), view(2)]).profile
    assert not fold([decoded(1, erasing)], newer).erased, "a repeat must not delete the newer slate"


def test_shoppers_are_apart_and_in_order() -> None:
    records = [Record(n, key=f"u{n % 2}".encode()) for n in range(4)]
    events = [Decoded(r, replace(event(View, r.offset, item_id="i"), user_id=f"u{r.offset % 2}")) for r in records]
    assert [[d.record.offset for d in group] for group in by_shopper(events).values()] == [[0, 2], [1, 3]]


def test_a_late_slate_is_left_out_only_behind_a_newer_one_that_will_be_answered() -> None:
    owed = [view(0)]
    impression = decoded(1, event(Impression, 1, items=("i1",))).record
    elsewhere, other = view(2).record._replace(partition=1), view(2).record._replace(key=b"u2")
    assert superseded(owed, [impression, Record(3, b"garbage"), elsewhere, other], LIMIT) == frozenset()
    assert superseded(owed, [impression, view(4).record], LIMIT) == {(0, b"u1")}


def test_a_letter_comes_back_as_it_went() -> None:
    record = Record(7, b"\xff", None, 2, headers=(("a", b"\x00"), ("a", b"2"), ("none", None)))
    letter = letter_of(record, Unreadable(Reason.NOT_UTF8, "line\nbreak \u2028"), T0, "group")
    back = decode_letter(record._replace(topic="letters", offset=99, headers=tuple(encode_headers(letter))))
    assert back == letter
    assert [(h.name, h.value) for h in back.headers] == [("a", b"\x00"), ("a", b"2"), ("none", b"")]


@pytest.mark.parametrize(
    ("attempts", "expected"), [(b"2", 3), (None, 1), (b"-1", 1), (b"9" * 9999, 1), (b"\xff", 1), (b"", 1)]
)
def test_attempts_are_counted_whatever_the_header_says(attempts: bytes | None, expected: int) -> None:
    record = Record(0, headers=(("daogou.attempts", attempts),))
    assert letter_of(record, BadInput(Reason.EMPTY, ""), T0, "g").attempts == expected


def test_nobody_forges_a_reason() -> None:
    record = Record(0, headers=(("daogou.reason", b"x"), ("__streams.errors.offset", b"1")))
    headers = encode_headers(letter_of(record, BadInput(Reason.EMPTY, ""), T0, "g"))
    assert [v for name, v in headers if name == "daogou.reason"] == [b"empty"]
    assert [v for name, v in headers if name == "__streams.errors.offset"] == [b"0"]


async def test_the_epoch_is_asked_for_once_an_assignment_and_when_offsets_run_backwards() -> None:
    answers = iter(["a", "b", "c"])
    epochs = Epochs(lambda: next(answers))
    assert await epochs.of(1, [Record(0), Record(1)]) == "a"
    assert await epochs.of(1, [Record(2)]) == "a"
    assert await epochs.of(2, [Record(3)]) == "b"
    assert await epochs.of(2, [Record(0)]) == "c"


def test_the_watchdog_knows_a_hung_loop_a_standstill_and_a_reader_that_does_not_read() -> None:
    progress = Progress()
    dog, now = Watchdog(progress, 10.0), progress.moved
    assert dog.fault(now) == ""
    assert "event loop" in dog.fault(now + 11)
    progress.beat = now + 11
    assert dog.fault(now + 11) == "", "nothing in hand, nothing unread"
    progress.in_hand = 5
    assert "5 records in hand" in dog.fault(now + 11)
    progress.in_hand, progress.unread_since = 0, now
    assert "log grows" in dog.fault(now + 11)


def test_a_gap_that_does_not_grow_is_no_standstill() -> None:
    progress = Progress()
    progress.saw(10, 9)
    progress.saw(10, 9)
    assert progress.unread_since is None, "a transaction's marker is never committed"
    progress.saw(12, 9)
    assert progress.unread_since is not None
    progress.saw(13, 12)
    assert progress.unread_since is None, "it moved"


async def test_what_must_not_end_is_noted_when_it_does() -> None:
    async def ends() -> None: ...

    progress = Progress()
    await progress.watch(ends(), "disk")
    assert isinstance(progress.failure, Stuck)


def test_health_tells_ready_from_live() -> None:
    import urllib.error
    import urllib.request

    from contracts.metrics import Metrics

    ready: list[bool] = []
    health = Health(0, Metrics().registry, lambda: bool(ready))
    try:
        assert urllib.request.urlopen(f"{health.address}/health/live").status == 200
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{health.address}/health/ready")
        ready.append(True)
        assert urllib.request.urlopen(f"{health.address}/health/ready").status == 200
        assert b"daogou_events_total" in urllib.request.urlopen(f"{health.address}/metrics").read()
    finally:
        health.stop()
