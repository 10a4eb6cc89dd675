"""What an evaluation prints and writes: every figure is there, and a terminal of 100 columns has room for it."""

import json
from pathlib import Path

import msgspec
import pytest

from evaluation.compare import Comparison, Result
from evaluation.metrics import CUTOFFS, Difference, Quality
from evaluation.small import too_small
from launch.cli import run
from launch.evaluate_tables import print_tables
from tests.unit.test_evaluated_logs import deeds, folder_of

MODELS = ("popularity", "transitions + attributes", "daogou, bundle small, told what is new")


def quality(k: int) -> Quality:
    return Quality(
        k=k, hit_rate=k / 100, ndcg=k / 200, mrr=k / 300, coverage=0.5, novelty=12.345, popularity=7.89, gini=0.6,
        diversity=0.7, recall=k / 100,
    )  # fmt: skip


def made(**more: object) -> Comparison:
    gain = Difference(0.01, 0.002, 0.03)
    results = [
        Result(
            model=model, qualities=tuple(quality(k) for k in CUTOFFS), seconds=12.3, gain=gain, ndcg_10=gain,
            recall_10_among_cold=0.2,
        )
        for model in MODELS
    ]  # fmt: skip
    return Comparison(
        data="made", protocol="leave-one-out, full ranking, seen items removed", shoppers=9, items=1234, seed=0,
        results=tuple(results), cold_items=3, **more,
    )  # fmt: skip


def printed(found: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    print_tables(found)
    return capsys.readouterr().out


def test_popularity_and_all_lengths_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = printed(made(), capsys, monkeypatch)
    assert "popularity" in shown
    assert "7.89" in shown
    for k in CUTOFFS:
        assert f"HR@{k} " in shown
        assert f"{k / 100:.4f}" in shown
    assert "HR@k is recall@k" in shown
    assert "…" not in shown
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith(f"│ {model} ") for line in lines for model in MODELS[:2]) == 6, "no name is broken"


def test_recall_is_written_by_its_name_and_old_reports_still_read() -> None:
    at = msgspec.to_builtins(quality(10))
    assert at["recall"] == at["hit_rate"] == 0.1
    del at["recall"]
    assert msgspec.convert(at, Quality).recall is None


def test_a_catalogue_that_fits_into_a_list_is_said() -> None:
    assert too_small("items", 51, CUTOFFS) == ()
    assert too_small("items", 10, CUTOFFS) == (
        "10 items only: a list of 10 or 20 or 50 has all of them, so those figures say nothing.",
    )


@pytest.mark.parametrize(("protocol", "lists"), [("leave-one-out", "10 or 20 or 50"), ("replay", "10 or 20")])
def test_a_small_catalogue_is_warned_of(
    protocol: str, lists: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    walks = [[("view", (n + step) % 8) for step in range(4)] for n in range(30)]
    folder = folder_of(tmp_path / "small", [each for n, walk in enumerate(walks) for each in deeds(f"u{n}", *walk)])
    command = ["evaluate", str(folder), "--protocol", protocol]
    assert run([*command, "--json"]) == 0
    [warning] = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith(f"8 items only: a list of {lists} has all of them")
    assert run(command) == 0
    assert "8 items only" in capsys.readouterr().out


def test_few_cold_items_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walks = [[("view", (n * 7 + step) % 60) for step in range(5)] for n in range(120)]
    folder = folder_of(tmp_path / "few", [each for n, walk in enumerate(walks) for each in deeds(f"u{n}", *walk)])
    assert run(["evaluate", str(folder), "--protocol", "cold", "--json"]) == 0
    [warning] = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith("3 cold items only: a list of 10 has all of them")
