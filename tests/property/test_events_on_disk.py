"""Events on disk are the events that were written: all kinds, any order of times, any part of them, read any way."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies import anything

from contracts.codec import decode_own_event, encode_json, encode_own_event
from contracts.dialects.dataset import UNTIMED_MS, UNTIMED_STEP_MS
from contracts.events import KIND_OF, AnyEvent, Consent, Event, erases, items_of, kind_of
from contracts.statistics import WEIGHTS
from training.log import read_log
from training.permitted import permitted
from training.stored_events import kinds_of, shoppers_of, stored
from training.walks import walks_of

logs = st.lists(st.builds(lambda event, user: replace(event, user_id=user), anything, st.sampled_from("uvw")))
cuts = st.one_of(st.none(), st.integers(-70, 70))
RARE = settings(phases=[Phase.generate], max_examples=5_000)
steps = st.sampled_from([None, 1, 2, -1, -3])


def plainly_permitted(events: list[AnyEvent]) -> list[AnyEvent]:
    """Event by event, all in memory."""
    erased = {event.user_id: number for number, event in enumerate(events) if erases(event)}
    refused, kept = set[str](), list[AnyEvent]()
    for number, event in enumerate(events):
        if isinstance(event, Consent):
            (refused.discard if event.granted else refused.add)(event.user_id)
        elif number > erased.get(event.user_id, -1) and event.user_id not in refused:
            kept.append(event)
    return kept


def plainly_without_last(events: list[AnyEvent], count: int) -> list[AnyEvent]:
    """Up to each shopper's last but ``count`` visits, told from the end: one item in a row, by different deeds."""
    gone = set[int]()
    for user in {event.user_id for event in events}:
        mine = [place for place, event in enumerate(events) if event.user_id == user]
        deeds = [
            (place, item, kind_of(events[place]))
            for place in mine
            for item in (items_of(events[place]) if kind_of(events[place]) in WEIGHTS else ())
        ]
        begins = [
            place
            for at, (place, item, kind) in enumerate(deeds)
            if at == 0 or deeds[at - 1][1] != item or deeds[at - 1][2] is kind
        ]
        first = begins[-count:][0] if count and begins else len(events)
        gone |= {place for place in mine if place >= first}
    return [event for place, event in enumerate(events) if place not in gone]


@given(anything)
def test_what_is_not_checked_again_is_the_same_event(event: AnyEvent) -> None:
    again = decode_own_event(encode_own_event(event))
    assert type(again) is type(event)
    assert encode_own_event(again) == encode_own_event(event)
    assert again == event


@pytest.mark.parametrize("make", KIND_OF)
def test_every_type_of_event_comes_back(make: type[Event]) -> None:
    """Those to come as well: events are made by their fields' names here, by no checked decoder."""
    event = find(anything, lambda event: type(event) is make, settings=RARE)
    assert decode_own_event(encode_own_event(event)) == event


@given(logs, cuts, cuts, steps)
def test_a_log_on_disk_is_a_list_sorted_by_time(log: list[AnyEvent], start: int, stop: int, step: int) -> None:
    plain, found, part = sorted(log, key=lambda event: event.time_ms), stored(log), slice(start, stop, step)
    assert found == plain
    assert list(found) == [found[at] for at in range(len(log))] == plain
    assert list(found[part]) == plain[part]
    assert list(reversed(found[part])) == plain[part][::-1]
    assert kinds_of(found).tolist() == kinds_of(plain).tolist() == [kind_of(event) for event in plain]
    names = {event.user_id: number for event, number in zip(plain, shoppers_of(found).tolist(), strict=True)}
    assert [names[event.user_id] for event in plain] == shoppers_of(found).tolist()
    assert len(set(names.values())) == len(names)


@given(logs.filter(bool), st.integers(0, 3), st.sampled_from([0.2, 0.5, 1.0]))
def test_a_log_is_read_as_if_all_of_it_were_in_memory(log: list[AnyEvent], hold_back: int, until: float) -> None:
    allowed = plainly_permitted(sorted(log, key=lambda event: event.time_ms))
    assert list(permitted(stored(log))) == allowed
    found = allowed[: max(1, round(len(allowed) * until))]
    kept = plainly_without_last(found, hold_back)
    if not found:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_bytes(b"\n".join(map(encode_json, log)))
        read = read_log(path, None, hold_back, until)
    assert read.events == kept
    assert read.shoppers == len({event.user_id for event in kept})
    assert read.met == {item for event in kept for item in items_of(event)}
    assert [item.item_id for item in read.items] == sorted({item for event in found for item in items_of(event)})


@given(logs)
def test_walks_are_each_shoppers_events_in_their_order(log: list[AnyEvent]) -> None:
    events = stored(log)
    by_user: dict[str, list[AnyEvent]] = {}
    for event in events:
        mine = by_user.setdefault(event.user_id, [])
        mine.append(replace(event, time_ms=UNTIMED_MS + len(mine) * UNTIMED_STEP_MS))
    for walks in (walks_of(events), walks_of(list(events))):
        assert [list(walk) for walk in walks] == list(by_user.values())
        assert all(walk[-1] == walk[len(walk) - 1] and walk[1:] == list(walk)[1:] for walk in walks)
