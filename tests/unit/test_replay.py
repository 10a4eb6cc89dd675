"""The replay on logs whose answer is known: nothing is known too early or too late, all are asked the same."""

import gzip
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import tiny_bundle
from tiny_shop import NOW_MS, item

from contracts.bundle import Bundle
from contracts.errors import Unacceptable
from contracts.events import AnyEvent, CartAdd, Click, Forget, Hide, ItemId, Line, Purchase, UserId, View
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from contracts.profile import Position, Profile, apply
from contracts.settings import EngineSettings, ModelSettings
from contracts.statistics import Increments, Statistics
from evaluation.held import Held, Shelf
from evaluation.metrics import compare, over_shoppers
from evaluation.replay import MODELS, Plan, Ranked, Replay
from evaluation.replay_table import ReplayTable, Source, replay_table
from evaluation.standing import MISSED, by_counts, by_trend
from evaluation.turns import Part, Turn, Turns
from inference.engine import Engine
from launch.cli import run

DAOGOU, COUNTS, TREND = range(len(MODELS))
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


def view(user: str, item_id: str, at_ms: int) -> View:
    return View(event_id=f"{user}.{item_id}.{at_ms}", user_id=user, time_ms=NOW_MS + at_ms, item_id=item_id)


def engine(bundle: Bundle | None = None) -> Engine:
    return Engine(bundle, EngineSettings(), ModelSettings())


def bare(events: Iterable[AnyEvent], extra: int = 0) -> list[CatalogueItem]:
    """The items of some views, and ``extra`` that nobody ever views, without words."""
    names = {event.item_id for event in events} | {f"never{number}" for number in range(extra)}
    return [CatalogueItem(item_id=name) for name in sorted(names)]


def quiet(_done: int, _of: int) -> None:
    return None


def replayed(events: Sequence[AnyEvent], held_ms: int = 0, **plan: float) -> Ranked:
    whole = Plan(**{"first": 0.0, "flush_ms": 0, **plan})
    return Replay(engine(), Shelf(bare(events, 400)), held_ms, whole).run(events, quiet)


def table_of(events: Sequence[AnyEvent], *held: float, **plan: float) -> ReplayTable:
    whole = Plan(**{"first": 0.0, "flush_ms": 0, **plan})
    source = Source(name="made", events=events, items=bare(events, 400))
    return replay_table(source, engine, held, whole, lambda _what, _done, _of: None)


# --- what is predicted


def test_a_turn_is_to_another_item() -> None:
    turns = Turns()
    said = [
        turns.see(event)
        for event in (
            view("u", "a", 0),
            Click(event_id="1", user_id="u", time_ms=NOW_MS, item_id="a"),
            view("v", "b", 1),
            view("u", "b", 2),
            CartAdd(event_id="2", user_id="u", time_ms=NOW_MS, item_id="b"),
            CartAdd(event_id="3", user_id="u", time_ms=NOW_MS, item_id="a"),
            Hide(event_id="4", user_id="u", time_ms=NOW_MS, item_id="c"),
            view("u", "c", 3),
        )
    ]
    turned = [
        [],
        [],
        [],
        [Turn(0, ItemId("b"), Part.NEW)],
        [],
        [Turn(0, ItemId("a"), Part.SEEN)],
        [],
        [Turn(0, ItemId("c"), Part.COLD)],
    ]
    assert said == turned
    assert turns.firsts == 2


def test_an_order_is_a_turn_to_each_other_item_of_it_and_erasure_begins_anew() -> None:
    turns = Turns()
    turns.see(view("u", "a", 0))
    lines = tuple(Line(item_id=name) for name in ("a", "b", "c", "b"))
    found = turns.see(Purchase(event_id="p", user_id="u", time_ms=NOW_MS, lines=lines))
    assert [turn.item for turn in found] == ["b", "c"]
    assert turns.see(Forget(event_id="f", user_id="u", time_ms=NOW_MS)) == []
    assert turns.see(view("u", "b", 1)) == []


# --- nothing is known too early


def strangers(rounds: int, pairs: int = 40) -> list[View]:
    """Pair k: from item ``k`` to item ``k'``, by a new shopper each round. In the first round both items are new."""
    visits = [(f"u{r}-{k}", k, r * HOUR + k * MINUTE) for r in range(rounds) for k in range(pairs)]
    steps = [(view(user, f"from{k}", at), view(user, f"to{k}", at + 20 * SECOND)) for user, k, at in visits]
    return [event for pair in steps for event in pair]


def test_what_happens_is_predicted_before_it_is_learned() -> None:
    """Each target is new to all: whoever finds it has seen the answer. Learned first, it would stand at the top."""
    ranked = replayed(strangers(1))
    assert ranked.ranks.shape == (3, 40)
    assert (ranked.parts == Part.COLD).all()
    assert (ranked.ranks[[COUNTS, TREND]] == MISSED).all()
    assert (ranked.ranks[DAOGOU] < 20).mean() < 0.1


def test_what_was_learned_is_predicted() -> None:
    """The second time around the profile (where the shopper is) and the counts (what follows) give it away."""
    ranked = replayed(strangers(2))
    again = ranked.ranks[:, 40:]
    assert (ranked.parts[40:] == Part.NEW).all()
    assert (again[COUNTS] == 0).all()
    assert (again[DAOGOU] == 0).all()
    assert (again[TREND] > 0).all()


def test_no_model_sees_the_answer_in_its_profile() -> None:
    held = Held(0, engine().statistics.decay)
    held.happened(0, view("u", "a", 0))
    held.advance(NOW_MS)
    held.happened(1, view("u", "b", 0))
    assert held.profiles[UserId("u")].history.items == ("a",)


def test_items_come_when_they_are_added() -> None:
    early, late = item(0, added_ms=NOW_MS - DAY), item(1, added_ms=NOW_MS + DAY)
    unknown = CatalogueItem(item_id="i2")
    shelf, one = Shelf([late, unknown, early]), engine()
    at = shelf.stock(one, 0, NOW_MS)
    assert (at, sorted(one.table.row_of)) == (2, ["i0", "i2"])
    assert shelf.stock(one, at, NOW_MS + DAY) == 3
    assert ItemId("i1") in one.table


def test_a_later_part_of_the_log_changes_nothing_before_it() -> None:
    events = strangers(3)
    cut = replayed(events[:160])
    whole = replayed(events, last=160 / 240)
    np.testing.assert_array_equal(cut.ranks, whole.ranks)
    tail = replayed(events, first=160 / 240)
    np.testing.assert_array_equal(tail.ranks, replayed(events).ranks[:, 80:])


# --- nothing is known too late


def walks(shoppers: int = 60, steps: int = 8, ring: int = 150) -> list[View]:
    """Everybody walks around the same ring of items, a step every 40 seconds, from a place of their own."""
    starts = np.random.default_rng(0).integers(0, ring, shoppers)
    walked = [
        view(f"w{who}", f"r{(start + step) % ring:03}", who * 2 * HOUR + step * 40 * SECOND)
        for who, start in enumerate(starts.tolist())
        for step in range(steps)
    ]
    return sorted(walked, key=lambda event: event.time_ms)


def test_fresher_is_better_and_all_delays_are_asked_the_same() -> None:
    found = table_of(walks(), 0, 60, 3600, 86400)
    mrr = np.array([[row.figures[1].mrr for row in delay.rows] for delay in found.delays])
    assert all(older <= newer for newer, older in pairwise(mrr[:, COUNTS]))
    assert mrr[0, DAOGOU] > mrr[1, DAOGOU] > mrr[2, DAOGOU]
    assert mrr[0, COUNTS] > mrr[1, COUNTS] > mrr[2, COUNTS] == 0.0  # after an hour nobody is known who walks now
    assert found.turns == 60 * 7
    assert [part.turns for part in found.delays[0].parts] == [part.turns for part in found.delays[3].parts]


def test_an_event_is_known_when_it_is_as_old_as_the_delay_says() -> None:
    held = Held(MINUTE, engine().statistics.decay)
    held.happened(0, view("u", "a", 0))
    held.advance(NOW_MS + MINUTE - 1)
    assert not held.profiles
    held.advance(NOW_MS + MINUTE)
    assert held.profiles[UserId("u")].history.items == ("a",)
    assert set(held.lessons().trend) == {"a"}
    assert not held.lessons()


def test_at_equal_times_the_order_of_the_log_decides() -> None:
    same = [view(user, name, 0) for user in ("u", "v") for name in ("a", "b")]
    assert replayed(same).ranks[COUNTS].tolist() == [MISSED, 0]
    assert replayed(same, held_ms=1).ranks[COUNTS].tolist() == [MISSED, MISSED]
    flushed = replayed(same, flush_ms=1000)  # the counts come with the next flush, as live
    assert flushed.ranks[COUNTS].tolist() == [MISSED, MISSED]


def test_batches_do_not_mix_shoppers_up() -> None:
    """All of a round in one batch, or one by one: the counts of earlier rounds say the same."""
    events = strangers(3)
    together = replayed(events, flush_ms=30 * MINUTE, batch=1000)
    np.testing.assert_array_equal(together.ranks[COUNTS, 40:], replayed(events).ranks[COUNTS, 40:])


def test_shoppers_of_one_event_are_counted_and_not_asked() -> None:
    once = [view(f"u{number}", "a", number) for number in range(5)]
    ranked = replayed([*once, view("u0", "b", 9)])
    assert (ranked.firsts, len(ranked.shoppers)) == (5, 1)
    with pytest.raises(Unacceptable, match="no turn to predict"):
        table_of(once, 0)


# --- ranks and intervals


def taught(*histories: Sequence[str]) -> Statistics:
    """The counts after shoppers viewed these items, in a catalogue of a to f."""
    table = ItemTable(1)
    for name in "abcdef":
        table.upsert(CatalogueItem(item_id=name))
    statistics = Statistics(table)
    increments = Increments(statistics.decay)
    for number, names in enumerate(histories):
        profile = Profile(UserId(f"t{number}"))
        for offset, name in enumerate(names):
            event = view(profile.user_id, name, 0)
            increments.learn(profile, event)
            profile = apply(profile, Position("t", 0, offset), event).profile
    statistics.add(increments)
    return statistics


def test_counts_rank_by_hand_and_ties_stand_against_us() -> None:
    statistics = taught(("a", "b"), ("a", "b"), ("a", "c"), ("a", "d"), ("e", "a"))
    recent = np.array([[0, -1]] * 5 + [[1, 0], [-1, -1]], np.int32)
    nows = np.full(len(recent), NOW_MS, np.int64)
    targets = np.array([1, 2, 3, 4, -1, 1, 1], np.int32)
    assert by_counts(statistics, recent, nows, targets).tolist() == [0, 2, 2, MISSED, MISSED, MISSED, MISSED]
    assert by_counts(statistics, recent[5:6], nows[:1], np.array([2], np.int32)).tolist() == [1]  # b itself is out


def test_trend_ranks_by_hand_and_ties_stand_against_us() -> None:
    statistics = taught(("a",), ("a",), ("b",), ("c",))
    recent = np.array([[-1], [-1], [-1], [0], [0], [-1], [-1]], np.int32)
    targets = np.array([0, 1, 2, 1, 0, 5, -1], np.int32)
    assert by_trend(statistics, recent, targets).tolist() == [0, 2, 2, 1, MISSED, MISSED, MISSED]


def test_turns_of_one_shopper_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    gaps = np.repeat(rng.normal(0.1, 1.0, 30), 20)
    shoppers = np.repeat(np.arange(30) * 7, 20)
    ours, plain = over_shoppers(gaps, shoppers), compare(gaps, np.zeros_like(gaps))
    assert ours.mean == plain.mean == pytest.approx(gaps.mean())
    assert ours.high - ours.low > 3 * (plain.high - plain.low)
    assert ours.low < gaps.mean() < ours.high


# --- whole folders, bundles, the command


def write(folder: Path, events: Sequence[View], items: Sequence[CatalogueItem] = ()) -> Path:
    with gzip.open(folder / "events.jsonl.gz", "wt") as file:
        for e in events:
            row = {"user_id": e.user_id, "item_id": e.item_id, "event_type": "view", "timestamp": e.time_ms / 1000}
            file.write(json.dumps(row) + "\n")
    if items:
        with gzip.open(folder / "items.jsonl.gz", "wt") as file:
            file.writelines(json.dumps({"item_id": each.item_id, "title": each.title}) + "\n" for each in items)
    return folder


def test_a_folder_of_ids_alone_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = write(tmp_path, strangers(3))
    command = ["evaluate", str(folder), "--protocol", "replay", "--freshness", "0,3600"]
    assert run([*command, "--from", "0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["items"], found["turns"], found["bundle"]) == (80, 60, None)
    assert [delay["held_seconds"] for delay in found["delays"]] == [0, 3600]
    daogou, counts, popularity = found["delays"][0]["rows"]
    assert daogou["figures"][1] == {"k": 20, "recall": 1.0, "mrr": 1.0} == counts["figures"][1]
    assert popularity["gain"]["recall"][1] > 0.5
    assert found["delays"][0]["degraded"] == 60
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert "count model" in shown
    assert "fallback" in shown


def test_a_bundle_serves_in_a_replay(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    items = [item(number) for number in range(60)]
    events = [
        View(event_id=f"{who}.{step}", user_id=f"s{who}", time_ms=NOW_MS + who * HOUR + step * MINUTE,
             item_id=f"i{(who + 6 * step) % 60}")
        for who in range(24) for step in range(4)
    ]  # fmt: skip
    source = Source(name="things", events=events, items=items)
    said: list[str] = []
    found = replay_table(source, lambda: engine(bundle), (0, 3600), Plan(first=0.0), lambda *_: None, 0, said.append)
    assert [line.partition(",")[0] for line in said] == ["held back 0 s", "held back 3600 s"]
    assert found.bundle == bundle.digest
    assert [delay.degraded for delay in found.delays] == [0, 0]
    fresh, stale = (delay.rows[DAOGOU].figures[1].recall for delay in found.delays)
    assert fresh > 0.8 > stale  # one kind of thing a shopper: its words give it away, once it is known


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--freshness", "soon"], "seconds from 0 on"),
        (["--freshness", "-1"], "seconds from 0 on"),
        (["--from", "0.9", "--until", "0.5"], "shares of the log"),
        (["--one-in", "0"], "Invalid value for '--one-in'"),
        (["--protocol", "random"], "leave-one-out, replay"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, strangers(1))
    assert run(["evaluate", str(folder), "--protocol", "replay", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_log_without_times_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gzip.open(tmp_path / "events.jsonl.gz", "wt") as file:
        for place in range(3):
            row = {"user_id": "u", "item_id": f"i{place}", "event_type": "view", "timestamp": None, "seq": place}
            file.write(json.dumps(row) + "\n")
    assert run(["evaluate", str(tmp_path), "--protocol", "replay"]) == 1
    assert "has no times" in capsys.readouterr().err


def test_one_shopper_in_so_many_is_asked_and_all_teach() -> None:
    events = [view(f"u{shopper}", item, shopper * 10 + at) for shopper in range(9) for at, item in enumerate("abc")]
    every, third = replayed(events), replayed(events, one_in=3)
    asked = every.shoppers % 3 == 0
    assert third.shoppers.tolist() == every.shoppers[asked].tolist() != []
    assert third.ranks.tolist() == every.ranks[:, asked].tolist()  # what was known is the same
