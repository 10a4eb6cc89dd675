"""What holds for every history: redelivery, duplicates, order, caps, erasure, consent, encoding."""

from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DAY_MS, START_MS, anything, learning, logs

from contracts.codec import decode_event, decode_profile, encode_json, encode_profile
from contracts.events import (
    ANSWERED,
    AnyEvent,
    CartAdd,
    Consent,
    Forget,
    Hide,
    Impression,
    Kind,
    Line,
    Purchase,
    Search,
    UserId,
    View,
    items_of,
    kind_of,
)
from contracts.profile import (
    BOUGHT,
    CART,
    HIDDEN,
    HISTORY,
    LARGEST_BYTES,
    QUERIES,
    RECENT_IDS,
    SHOWN,
    Outcome,
    Position,
    Profile,
    apply,
)


def folded(events: Iterable[AnyEvent], start: Profile | None = None, first: int = 0, epoch: str = "e") -> Profile:
    profile = start or Profile(UserId("u"))
    for offset, event in enumerate(events, start=first):
        profile = apply(profile, Position(epoch, 0, offset), event).profile
    return profile


def distinct(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    """Without the producer's repeats."""
    return list({event.event_id: event for event in reversed(events)}.values())[::-1]


@given(logs, st.data())
def test_what_is_delivered_again_changes_nothing(events: list[AnyEvent], data: st.DataObject) -> None:
    """Workers die after any record and their successors read again from any record before it."""
    profile: Profile | None = None
    at = furthest = 0
    for _ in range(4):
        until = data.draw(st.integers(at, len(events)))
        for offset in range(at, until):
            profile, outcome = apply(profile, Position("e", 0, offset), events[offset])
            assert (outcome is Outcome.REPEATED) == (offset < furthest)
            furthest = max(furthest, offset + 1)
        at = data.draw(st.integers(0, furthest))
    assert folded(events, profile) == folded(events)


@given(logs, st.integers(0, 60))
def test_a_fold_can_stop_and_go_on_through_the_store(events: list[AnyEvent], cut: int) -> None:
    half = decode_profile(encode_profile(folded(events[:cut])))
    assert folded(events[cut:], half, first=min(cut, len(events))) == folded(events)


@given(logs)
def test_profiles_come_back_from_their_bytes(events: list[AnyEvent]) -> None:
    profile = folded(events)
    raw = encode_profile(profile)
    assert decode_profile(raw) == profile
    assert encode_profile(decode_profile(raw)) == raw


@given(anything)
def test_events_come_back_from_their_bytes(event: AnyEvent) -> None:
    raw = encode_json(event)
    assert decode_event(raw, b"u", [], START_MS + 1000 * DAY_MS) == event
    assert encode_json(decode_event(raw, b"u", [], START_MS + 1000 * DAY_MS)) == raw


@given(logs, st.data())
def test_the_producers_repeats_count_once(events: list[AnyEvent], data: st.DataObject) -> None:
    """A repeat within the last ids moves the position and the version, and is answered; nothing else."""
    unique = [event for event in distinct(events) if not isinstance(event, Forget | Consent)]
    if not unique:
        return
    profile = folded(unique)
    again = data.draw(st.sampled_from(unique[-RECENT_IDS:]))
    after, outcome = apply(profile, Position("e", 0, len(unique)), again)
    assert outcome is Outcome.DUPLICATE
    assert (after.version, after.position) == (profile.version + 1, Position("e", 0, len(unique)))
    assert after.answered == (len(unique) if kind_of(again) in ANSWERED else profile.answered)
    fields = [name for name in Profile.__struct_fields__ if getattr(after, name) != getattr(profile, name)]
    assert set(fields) <= {"version", "position", "answered"}


@given(logs)
def test_the_version_counts_records_and_the_position_is_the_last(events: list[AnyEvent]) -> None:
    profile = folded(events)
    assert profile.version == len(events)
    assert profile.position == (Position("e", 0, len(events) - 1) if events else None)


@given(logs, logs)
def test_a_re_created_topic_begins_again(before: list[AnyEvent], after: list[AnyEvent]) -> None:
    profile = folded(after, folded(before, epoch="old"), epoch="new")
    assert profile.version == len(before) + len(after)


@given(logs)
def test_no_column_outgrows_its_cap(events: list[AnyEvent]) -> None:
    profile = folded(events * 3)
    past, bought = profile.history, profile.bought
    assert len(past.items) == len(past.kinds) == len(past.times_ms) <= HISTORY
    assert len(bought.items) == len(bought.times_ms) == len(bought.counts) <= BOUGHT
    assert len(profile.shown) <= SHOWN
    assert len(profile.queries) <= QUERIES
    assert len(profile.recent_ids) <= RECENT_IDS
    assert len(profile.counts) == len(Kind)
    for column, cap in ((profile.cart, CART), (profile.hidden, HIDDEN), (bought.items, BOUGHT)):
        assert len(column) <= cap
        assert len(set(column)) == len(column)


def test_the_largest_profile_is_as_large_as_we_say() -> None:
    """Every column full of ids of 256 characters of 4 bytes each."""

    def name(n: int) -> str:
        return f"{n:06d}" + "\U0001f600" * 250

    user, time_ms = "\U0001f600" * 256, 2**62
    lines = tuple(Line(item_id=name(n), quantity=1_000_000, price=1e12) for n in range(1000))
    events: list[AnyEvent] = [
        Purchase(event_id="p", user_id=user, time_ms=time_ms, lines=lines),
        Impression(event_id="s", user_id=user, time_ms=time_ms, items=tuple(name(n) for n in range(1000))),
        *(Search(event_id=f"q{n}", user_id=user, time_ms=time_ms, query="\U0001f600" * 1000) for n in range(10)),
        *(CartAdd(event_id=f"c{n}", user_id=user, time_ms=time_ms, item_id=name(n)) for n in range(200)),
        *(Hide(event_id=f"h{n}", user_id=user, time_ms=time_ms, item_id=name(n)) for n in range(300)),
    ]
    profile = Profile(UserId(user), version=2**62)
    for offset, event in enumerate(events):
        profile = apply(profile, Position("e" * 36, 1023, 2**62 + offset), event).profile
    full = (profile.history.items, profile.bought.items, profile.shown, profile.cart, profile.hidden, profile.queries)
    assert [len(column) for column in full] == [HISTORY, BOUGHT, SHOWN, CART, HIDDEN, QUERIES]
    assert 0.95 * LARGEST_BYTES < len(encode_profile(profile)) < LARGEST_BYTES


@given(logs, logs)
def test_the_forgotten_stay_forgotten(before: list[AnyEvent], after: list[AnyEvent]) -> None:
    """What was done before a Forget leaves no trace, whatever comes later, late or twice, however often replayed."""
    last_ms = START_MS + 1000 * DAY_MS
    forget = Forget(event_id="forget", user_id="u", time_ms=last_ms)
    later = [view(f"later{n}", last_ms + n) for n, _ in enumerate(after)]
    profile = folded([*before, forget, *before, *later])
    assert profile.erased_ms == last_ms
    learned = {item for event in ([] if profile.consent is False else later) for item in items_of(event)}
    assert set(profile.history.items) == learned
    assert (profile.shown, profile.bought.items, profile.hidden, profile.cart, profile.queries) == ((), (), (), (), ())
    assert profile.loyalty.orders == 0


def view(event_id: str, time_ms: int) -> View:
    return View(event_id=event_id, user_id="u", time_ms=time_ms, item_id=f"i-{event_id}")


@given(st.lists(learning, max_size=30), st.lists(learning, max_size=30))
def test_without_consent_nothing_is_learned(before: list[AnyEvent], after: list[AnyEvent]) -> None:
    refusal = Consent(event_id="no", user_id="u", time_ms=START_MS, granted=False)
    profile = folded([*before, refusal, *after])
    nothing = Profile(UserId("u"), consent=False)
    assert (profile.history, profile.counts, profile.loyalty) == (nothing.history, nothing.counts, nothing.loyalty)
    assert (profile.shown, profile.bought, profile.cart) == (nothing.shown, nothing.bought, nothing.cart)
    assert (profile.consent, profile.first_ms, profile.queries) == (False, 0, ())


def test_who_refused_and_is_forgotten_has_still_refused() -> None:
    refusal = Consent(event_id="no", user_id="u", time_ms=START_MS, granted=False)
    forget = Forget(event_id="f", user_id="u", time_ms=START_MS + 1)
    profile = folded([refusal, forget, view("v", START_MS + 2)])
    assert (profile.consent, profile.history.items) == (False, ())
    agreed = folded([refusal, forget, Consent(event_id="yes", user_id="u", time_ms=START_MS + 3, granted=True)])
    assert agreed.consent is True


@given(st.lists(learning, max_size=RECENT_IDS), st.randoms())
def test_counts_loyalty_and_times_do_not_depend_on_the_order(events: list[AnyEvent], chance: object) -> None:
    """Late and shuffled events: what commutes comes out the same; histories, carts and repeat days follow the log."""
    unique = distinct(events)
    shuffled = list(unique)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = folded(unique), folded(shuffled)
    assert (one.counts, one.first_ms, one.last_ms) == (other.counts, other.first_ms, other.last_ms)
    assert (one.loyalty.orders, one.loyalty.first_ms) == (other.loyalty.orders, other.loyalty.first_ms)
    assert sorted(one.recent_ids) == sorted(other.recent_ids)


@given(st.lists(learning, max_size=40))
@settings(max_examples=50)
def test_counts_are_the_events(events: list[AnyEvent]) -> None:
    profile = folded(unique := distinct(events)[:RECENT_IDS])
    assert sum(profile.counts) == len(unique)
    assert profile.loyalty.orders == sum(isinstance(event, Purchase) for event in unique)
