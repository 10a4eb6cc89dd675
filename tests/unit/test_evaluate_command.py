"""``daogou evaluate`` from the command line: what fits which protocol, what is refused at once, what is written."""

import json
from pathlib import Path

import pytest

from launch.cli import run
from tests.trained import Trained
from tests.unit.test_evaluated_logs import deeds, folder_of

PNG = b"\x89PNG"


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """Sixty shoppers, each five steps around a ring of thirty items."""
    walks = ([("view", (start * 7 + step) % 30) for step in range(5)] for start in range(60))
    return folder_of(tmp_path / "ring", [each for n, walk in enumerate(walks) for each in deeds(f"u{n}", *walk)])


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("replay", ["--sasrec"]),
        ("replay", ["--against-all", "5"]),
        ("replay", ["--bundle-only"]),
        ("time-split", ["--train", "tiny"]),
        ("leave-one-out", ["--freshness", "60"]),
        ("leave-one-out", ["--from", "0.5"]),
        ("cold", ["--until", "0.9"]),
        ("cold", ["--surface", "home"]),
        ("time-split", ["--one-in", "2"]),
    ],
)
def test_an_option_that_the_protocol_would_not_read_is_refused(
    protocol: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(tmp_path / "not read"), "--protocol", protocol, *options]) == 2
    said = told(capsys)
    assert f"not for {protocol}; it is for" in said
    assert options[0] in said


@pytest.mark.parametrize(
    "options",
    [["--against-all", "-3"], ["--seed", "-1"], ["--from", "-0.1"], ["--until", "1.5"], ["--one-in", "0"]],
)
def test_numbers_have_bounds(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(tmp_path / "not read"), *options]) == 2
    assert f"Invalid value for '{options[0]}'" in told(capsys)


def test_two_bundles_or_none_are_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--train", "tiny", "--bundle", "b"], ["--against-all", "3"], ["--bundle-only"]):
        assert run(["evaluate", str(tmp_path / "not read"), *options]) == 2
        assert "--bundle" in told(capsys)


def test_a_replay_is_written(ring: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    command = ["evaluate", str(ring), "--protocol", "replay", "--freshness", "0,60"]
    assert run([*command, "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads((out / "evaluation.json").read_bytes()) == found
    assert {path.name for path in out.iterdir()} == {"evaluation.json", "recall.png", "mrr.png"}
    assert all((out / name).read_bytes().startswith(PNG) for name in ("recall.png", "mrr.png"))


def test_a_replay_may_train_on_what_comes_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walks = [[("view", (start + step) % 8) for step in range(4)] for start in range(16)]
    folder = folder_of(tmp_path / "few", [each for n, walk in enumerate(walks) for each in deeds(f"u{n}", *walk)])
    assert run(["evaluate", str(folder), "--protocol", "replay", "--train", "tiny", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "38 events" in said.err, "the first 60% of 64"
    assert len(found["bundle"]) == 64
    assert found["delays"][0]["degraded"] == 0


@pytest.mark.parametrize("protocol", ["leave-one-out", "replay"])
def test_what_is_not_there_is_said_at_once(
    protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", "nope", "--protocol", protocol]
    assert run(command) == 1
    assert capsys.readouterr().err == "daogou: nope: no such folder\n"
    assert run([*command, "--train", "big"]) == 2
    assert "'big'; there are tiny, small, base" in told(capsys)


def test_sasrec_is_one_more_row(ring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(ring), "--sasrec", "--json"]) == 0
    models = [result["model"] for result in json.loads(capsys.readouterr().out)["results"]]
    assert [model for model in models if model.startswith("SASRec, full softmax")] == models[-2:-1]


def test_what_candidates_cost_is_asked_of_so_many(
    ring: Path, trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    command = ["evaluate", str(ring), "--bundle", str(trained.bundle.folder), "--bundle-only", "--against-all", "7"]
    assert run([*command, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)["against_all"]
    assert whole["shoppers"] == 7
    assert whole["lost_ndcg_10"][0] == pytest.approx(whole["whole_ndcg_10"] - whole["served_ndcg_10"])
    assert run(command) == 0
    assert "7 shoppers drawn: as served HR@10" in capsys.readouterr().out
