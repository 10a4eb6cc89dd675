"""A bundle that has seen what is asked is told from one that has not, by the digest of what it was trained on."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tiny_bundle import tiny_bundle

from contracts.bundle import open_bundle, write_manifest
from evaluation.cold import cold_ones
from evaluation.folder import files_of
from evaluation.seen import Options, recognised, seen_by
from evaluation.sequences import read
from evaluation.task import last_one
from evaluation.time_split import later_ones
from launch.cli import run
from tests.unit.test_evaluated_logs import Row, deeds, folder_of, row
from training.log import read_log


def walks(*kinds: str, shoppers: int = 40) -> Iterable[Row]:
    """Four steps around a ring of twenty items, each by these kinds of events; one shopper after the other."""
    for n in range(shoppers):
        steps = [(kind, (n * 3 + step) % 20) for step in range(4) for kind in kinds]
        yield from ({**each, "timestamp": each["timestamp"] + n * 1000} for each in deeds(f"u{n}", *steps))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "set", walks("click"), [{"item_id": "1", "title": "Lamp"}])


def trained_on(digest: str, to: Path) -> str:
    """A bundle whose manifest says that it was trained on this. Returns its folder."""
    manifest = tiny_bundle(to).manifest
    write_manifest(to, replace(manifest, training=replace(manifest.training, data_digest=digest)))
    return str(to)


@pytest.mark.parametrize(
    "options", [Options(0, 1.0), Options(1, 1.0), Options(3, 1.0), Options(0, 0.6), Options(1, 0.35)]
)
def test_what_was_left_out_is_recognised(folder: Path, options: Options) -> None:
    files = files_of(folder)
    for items in (files.items, None):
        assert recognised(read_log(files.events, items, *options).digest, files) == options


def test_other_files_and_other_options_are_not(folder: Path) -> None:
    files = files_of(folder)
    assert recognised("none", files) is None
    odd = read_log(files.events, files.items, until=0.333).digest
    assert recognised(odd, files) is None
    assert recognised(odd, files, more=(0.333,)) == Options(0, 0.333)


def seen(folder: Path, to: Path, protocol: str, **options: float) -> tuple[str, int, int]:
    """The verdict on a bundle that was trained with these options, how much it has seen, and of how much."""
    files, log = files_of(folder), read(folder)
    bundle = open_bundle(Path(trained_on(read_log(files.events, files.items, **options).digest, to)))
    tasks = {"leave-one-out": last_one, "cold": cold_ones, "time-split": later_ones}
    found = seen_by(bundle, files, log.source, tasks[protocol](log, 0).held_out.tolist())
    return found.verdict, found.seen, found.held_out


def test_leave_one_out_wants_the_last_held_back(folder: Path, tmp_path: Path) -> None:
    assert seen(folder, tmp_path / "b", "leave-one-out", hold_back=1) == ("held back", 0, 40)
    assert seen(folder, tmp_path / "b", "leave-one-out") == ("seen", 40, 40)
    assert seen(folder, tmp_path / "b", "leave-one-out", until=0.5) == ("seen", 20, 40)


def test_a_last_visit_is_held_back_with_all_that_was_done_in_it(tmp_path: Path) -> None:
    """The last event is the view of an item whose click is the target."""
    folder = folder_of(tmp_path / "set", walks("click", "view", "impression"))
    assert seen(folder, tmp_path / "b", "leave-one-out", hold_back=1) == ("held back", 0, 40)
    assert seen(folder, tmp_path / "b", "leave-one-out") == ("seen", 40, 40)


def test_a_time_split_wants_nothing_from_after_the_cut(tmp_path: Path) -> None:
    rows = [row("click", (n * 3 + step) % 20, f"u{n}", step * 10_000 + n) for step in range(5) for n in range(40)]
    folder = folder_of(tmp_path / "set", rows)
    assert seen(folder, tmp_path / "b", "time-split", until=0.8)[:2] == ("held back", 0)
    assert seen(folder, tmp_path / "b", "time-split", until=0.85)[:2] == ("seen", 10)


def test_cold_items_were_in_every_part_of_the_log(folder: Path, tmp_path: Path) -> None:
    assert seen(folder, tmp_path / "b", "cold", hold_back=1)[0] == "seen"


@pytest.mark.parametrize("protocol", ["leave-one-out", "replay"])
def test_it_is_said_loudly_and_written(
    protocol: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    files = files_of(folder)
    whole = trained_on(read_log(files.events, files.items).digest, tmp_path / "whole")
    command = ["evaluate", str(folder), "--protocol", protocol, "--bundle"]
    assert run([*command, whole]) == 0
    assert "THE BUNDLE HAS SEEN WHAT IS ASKED" in capsys.readouterr().out
    assert run([*command, whole, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bundle_seen"]["verdict"] == "seen"
    assert any("HAS SEEN" in warning for warning in said["warnings"])
    assert run([*command, trained_on("none", tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bundle_seen"]["verdict"] == "not known"


def test_a_replay_wants_a_bundle_of_what_came_before(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(folder)
    before = trained_on(read_log(files.events, files.items, until=0.555).digest, tmp_path / "b")
    command = ["evaluate", str(folder), "--protocol", "replay", "--bundle", before, "--json", "--from"]
    for first, verdict in (("0.555", "held back"), ("0.6", "not known")):
        assert run([*command, first]) == 0
        assert json.loads(capsys.readouterr().out)["bundle_seen"]["verdict"] == verdict
