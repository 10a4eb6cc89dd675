"""What an evaluation reads: what a training reads, and of it what says that a shopper turned to an item."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.events import Kind
from contracts.statistics import WEIGHTS
from evaluation.cold import cold_items
from evaluation.engine_row import Served
from evaluation.folder import files_of
from evaluation.known import without_items, without_last_visits, write_log
from evaluation.sequences import Log, attribute_matrix, leave_one_out, read
from evaluation.task import last_one
from launch.cli import run
from training.log import read_log

START = 1_700_000_000
Row = dict[str, Any]


def row(kind: str, item: int | str, user: str = "u", at: int = 0, **more: object) -> Row:
    return {"event_type": kind, "user_id": user, "item_id": f"{item}", "timestamp": START + at, **more}


def deeds(user: str, *done: tuple[str, int]) -> list[Row]:
    """A shopper's events, a minute apart."""
    return [row(kind, item, user, at * 60) for at, (kind, item) in enumerate(done)]


def folder_of(folder: Path, events: Iterable[Row | str], items: Iterable[Row] = ()) -> Path:
    """Events as gzip JSONL (a string is a line as it is), items too if there are any."""
    folder.mkdir(exist_ok=True)
    lines = [line if isinstance(line, str) else json.dumps(line) for line in events]
    (folder / "events.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    if found := list(items):
        (folder / "items.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, found)).encode()))
    return folder


def names(log: Log, numbers: Sequence[int]) -> list[str]:
    return [log.items[number] for number in numbers]


# --- one reader


def test_the_simulated_shop_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = tmp_path / "shop"
    assert run(["shop", "--out", str(shop), "--shoppers", "30", "--days", "4"]) == 0
    capsys.readouterr()
    assert run(["evaluate", str(shop), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["results"][-1]["model"] == "daogou, no model"
    assert found["shoppers"] > 5


def test_whatever_a_training_reads_is_read(tmp_path: Path) -> None:
    canonical = {"type": "click", "event_id": "e", "user_id": "u", "time_ms": (START + 3) * 1000, "item_id": "c"}
    order = row("purchase", "", at=9, lines=[{"item_id": "d"}, {"item_id": "e"}])
    events = [row("view", "a"), canonical, order, row("search", "", query="shoes"), row("impression", "", items=["z"])]
    described = {"item_id": "a", "title": "Lamp", "category": ["Home", "Light"], "attributes": ["red", 7]}
    folder = folder_of(tmp_path / "set", events, [described])
    log = read(folder)
    files = files_of(folder)
    assert log.source == read_log(files.events, files.items)
    assert [names(log, each) for each in log.sequences] == [["a", "c", "d", "e"]]
    assert (log.rows[0].category, log.rows[0].attributes) == (("Home", "Light"), ("red", "7"))


def test_bad_rows_are_left_out_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [each for n in range(20) for each in deeds(f"u{n}", *[("view", (n + k) % 15) for k in range(5)])]
    folder = folder_of(tmp_path / "set", [*good, "no json", row("view", ""), row("view", 1, user=""), row("sneeze", 1)])
    assert run(["evaluate", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["shoppers"] == 20
    for reason in ("not_json", "invalid_field", "no_user", "unknown_type"):
        assert f"refused 1 rows: {reason}" in said.err


def test_a_plain_file_of_any_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(row("view", "a")))
    assert files_of(path) == ("log.jsonl", path, None)
    assert read(path).items == ("a",)


def test_columns_of_attributes_do_not_depend_on_the_run(tmp_path: Path) -> None:
    described = [{"item_id": "a", "title": "w8 w3 w1 w6 w2 w7 w5 w4"}, {"item_id": "b", "title": "w1 w2 w3 w4"}]
    matrix = attribute_matrix(read(folder_of(tmp_path / "set", [row("view", "a")], described)))
    assert (matrix.toarray()[0] > 0).tolist() == [False] * 4 + [True] * 4, "what all have says nothing"


# --- what counts


def test_only_what_turns_to_an_item_counts(tmp_path: Path) -> None:
    no = [("remove_from_cart", 8), ("hide", 8), ("return", 8), ("impression", 8)]
    log = read(folder_of(tmp_path / "set", deeds("u", ("view", 1), *no, ("wishlist", 2), ("purchase", 3), *no)))
    assert names(log, log.sequences[0]) == ["1", "2", "3"]
    assert "8" in log.items, "the catalogue knows it"


def test_a_step_further_with_an_item_is_no_new_visit_and_the_same_again_is(tmp_path: Path) -> None:
    steps = [("click", 1), ("view", 1), ("add_to_cart", 1), ("click", 2), ("purchase", 1), ("purchase", 1)]
    log = read(folder_of(tmp_path / "set", deeds("u", *steps)))
    assert names(log, log.sequences[0]) == ["1", "2", "1", "1"]
    assert [visit.kinds for visit in log.visits[0]] == [
        (Kind.CLICK, Kind.VIEW, Kind.CART_ADD), (Kind.CLICK,), (Kind.PURCHASE,), (Kind.PURCHASE,)
    ]  # fmt: skip
    assert [visit.place for visit in log.visits[0]] == [0, 3, 4, 5]


def test_each_event_is_learned_as_what_it_is(tmp_path: Path) -> None:
    kinds = {"click": 0, "view": 1, "wishlist": 2, "add_to_cart": 3, "purchase": 4, "review": 5}
    log = read(folder_of(tmp_path / "set", deeds("u", *kinds.items())))
    served = Served(log, log.visits)
    [profile] = served._profiles
    assert profile.history.kinds == tuple(kind for visit in log.visits[0] for kind in visit.kinds)
    assert set(profile.history.kinds) == set(WEIGHTS)
    assert profile.bought.items == ("4",)
    assert profile.cart == ("3",)
    trend = served._engine.statistics.trending()[: len(log.items)]
    assert trend.argmax() == log.items.index("4"), "a purchase says more than a click"


def test_who_cannot_be_answered_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = [deeds(f"u{n}", *[("view", item) for item in (n, n + 1, n + 2, n + 3 * (n > 4))]) for n in range(9)]
    folder = folder_of(tmp_path / "set", [each for rows in again for each in rows])
    assert run(["evaluate", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["met_before"] == 5
    assert run(["evaluate", str(folder)]) == 0
    assert "5 shoppers' last item is one that they met before" in capsys.readouterr().out


# --- what may be trained on


def test_a_bundle_for_this_alone_has_not_seen_the_target_nor_what_came_after(tmp_path: Path) -> None:
    steps = [("view", 1), ("view", 2), ("click", 3), ("view", 3), ("impression", 3), ("hide", 4)]
    log = read(folder_of(tmp_path / "set", deeds("u", *steps)))
    assert names(log, leave_one_out(log).test) == ["3"]
    assert last_one(log, 0).held_out.tolist() == [2]
    known = without_last_visits(log.source)
    assert known.events == log.source.events[:2]
    assert known.items == log.source.items
    assert known.digest != log.source.digest


@pytest.mark.parametrize("types", [("review",), ("view", "click", "purchase", "impression", "return")])
def test_it_is_what_hold_back_leaves(types: tuple[str, ...], tmp_path: Path) -> None:
    steps = {n: [(types[(n + k) % len(types)], (n * k) % 5) for k in range(n + 1)] for n in range(9)}
    rows = [each for n, some in steps.items() for each in deeds(f"u{n}", *some)]
    folder = folder_of(tmp_path / "set", rows)
    held = read_log(folder / "events.jsonl.gz", None, hold_back=1)
    known = without_last_visits(read(folder).source)
    assert known.events == held.events
    assert (known.met, known.shoppers, known.untimed) == (held.met, held.shoppers, held.untimed)
    assert known.shoppers < read(folder).source.shoppers, "who did one thing has nothing left"


def test_nothing_cold_is_in_what_teaches(tmp_path: Path) -> None:
    shown = row("impression", "", at=500, items=["1", "2"])
    order = row("purchase", "", at=501, lines=[{"item_id": "1"}, {"item_id": "2"}])
    untimed = row("click", 1) | {"timestamp": None, "seq": 3}
    rows = [*deeds("u", ("view", 1), ("view", 2)), shown, order, untimed]
    log = read(folder_of(tmp_path / "set", rows, [{"item_id": "1"}, {"item_id": "2", "title": "Cold"}]))
    warm = without_items(log.source, log.items, np.array([item == "2" for item in log.items]))
    assert [item.item_id for item in warm.items] == ["1"]
    write_log(warm, tmp_path / "warm")
    again = read(tmp_path / "warm")
    assert again.source.events == warm.events
    assert len(warm.events) == 4
    assert [names(again, each) for each in again.sequences] == [["1"]]


def test_cold_items_of_a_log_with_all_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    walks = [rng.permutation(30)[:6].tolist() for _ in range(80)]
    rows = [
        each
        for n, walk in enumerate(walks)
        for each in deeds(f"u{n}", *[(kind, item) for item in walk for kind in ("impression", "click", "view")])
    ]
    folder, out = folder_of(tmp_path / "set", rows), tmp_path / "report"
    assert run(["evaluate", str(folder), "--protocol", "cold", "--out", str(out), "--json"]) == 0
    found, log, warm = json.loads(capsys.readouterr().out), read(folder), read(out / "training")
    cold = set(names(log, np.nonzero(cold_items(log, 0))[0]))
    assert len(cold) == found["cold_items"] == 2
    assert set(warm.items) == set(log.items) - cold
