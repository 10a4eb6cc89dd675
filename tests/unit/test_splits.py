"""Splits, lists and baselines whose answer is known: nothing cold is learned, nothing later is known."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from contracts.errors import Unacceptable
from evaluation.baselines.content import Content, tuned
from evaluation.baselines.sasrec import Recipe, fit
from evaluation.baselines.transitions import Validation, without_seen
from evaluation.cold import cold_items, cold_ones
from evaluation.compare import COLD_BASELINES, Comparison, served, table
from evaluation.lists import diversity, gini
from evaluation.metrics import best_of
from evaluation.sequences import Log, read
from evaluation.task import last_one
from evaluation.time_split import cut, later_ones
from launch.cli import run
from tests.trained import Trained

DAY = 86_400
START = 1_400_000_000
ITEMS = 60


def circle(shoppers: int = 300, items: int = ITEMS) -> list[list[int]]:
    """Everybody walks five steps around the same circle of items."""
    return [[(start + step) % items for step in range(5)] for start in range(shoppers)]


def write(folder: Path, sequences: list[list[int]], timed: bool = False) -> Path:
    """Item i is of kind i // 6, which its title and its category say; shopper n begins on day n."""
    with gzip.open(folder / "events.jsonl.gz", "wt") as file:
        for user, sequence in enumerate(sequences):
            for at, item in enumerate(sequence):
                time = START + user * DAY + at * 60 if timed else None
                row = {"user_id": f"u{user}", "item_id": f"i{item}", "event_type": "view", "timestamp": time, "seq": at}
                file.write(json.dumps(row) + "\n")
    with gzip.open(folder / "items.jsonl.gz", "wt") as file:
        for item in range(ITEMS):
            row = {
                "item_id": f"i{item}",
                "title": f"kind{item // 6} thing{item}",
                "category": f"Shop > Kind {item // 6}",
            }
            file.write(json.dumps(row) + "\n")
    return folder


def kinds(shoppers: int = 400) -> list[list[int]]:
    """Each shopper takes five of the six items of one kind, in an order of their own."""
    rng = np.random.default_rng(0)
    return [(rng.permutation(6)[:5] + 6 * (n % (ITEMS // 6))).tolist() for n in range(shoppers)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return read(write(tmp_path, kinds()))


# --- baselines


def test_content_knows_what_looks_alike_without_any_click() -> None:
    attributes = sparse.csr_matrix(np.repeat(np.eye(3, dtype=np.float32), 4, axis=0))
    pasts = [np.array([0, 5], np.int32), np.array([8], np.int32)]
    scores = without_seen(Content(attributes, 0.5).scores(pasts), pasts)
    assert scores[0].argmax() in (4, 6, 7)  # the newest counts most
    assert scores[0][1] == 0.5
    assert scores[1].argmax() in (9, 10, 11)
    newest = Validation([np.array([0, 1, 5], np.int32)] * 5, np.array([6] * 5, np.int32))
    assert tuned(attributes, newest).base < 0.7


def test_sasrec_learns_a_circle_and_is_the_same_again() -> None:
    walks = [np.array(walk, np.int32) for walk in circle(300, 20)]
    before, pasts = [walk[:3] for walk in walks], [walk[:4] for walk in walks]
    validation = Validation(before, np.array([walk[3] for walk in walks], np.int32))
    recipe = Recipe(dim=16, layers=1, heads=1, length=8, dropout=0.0, batch=32, rate=0.02, epochs=8)
    said: list[str] = []
    models = [fit(before, pasts, 20, validation, 0, said.append, recipe) for _ in range(2)]
    scores = without_seen(models[0].scores(pasts), pasts)
    assert (scores.argmax(axis=1) == [walk[4] for walk in walks]).mean() > 0.9
    assert models[0].name == f"SASRec, full softmax, {models[0].epochs} epochs"
    np.testing.assert_array_equal(models[0].scores(pasts), models[1].scores(pasts))


def test_sasrec_never_reads_what_comes_later() -> None:
    walks = [np.array(walk, np.int32) for walk in circle(40, 20)]
    validation = Validation(walks, np.zeros(40, np.int32))
    model = fit(walks, walks, 20, validation, 0, lambda _: None, Recipe(dim=8, layers=1, heads=1, length=8, epochs=1))
    short, long = np.array([3, 4], np.int32), np.arange(7, dtype=np.int32)
    np.testing.assert_allclose(model.scores([short, long])[0], model.scores([short])[0], atol=1e-5)


# --- what lists are like


def test_diversity_by_hand() -> None:
    attributes = sparse.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.float32))
    assert diversity(np.array([[0, 1]], np.int32), attributes) == pytest.approx(0.0)
    assert diversity(np.array([[0, 2]], np.int32), attributes) == pytest.approx(1.0)
    assert diversity(np.array([[0, 1, 2], [0, 1, -1]], np.int32), attributes) == pytest.approx((2 / 3 + 0) / 2)
    assert diversity(np.array([[0, 2, 3]], np.int32), attributes) == pytest.approx(1.0)  # item 3 has no attributes
    assert diversity(np.array([[0, 3], [3, -1]], np.int32), attributes) is None


def test_gini_by_hand() -> None:
    assert gini(np.array([0, 1, 2, 3]), 4) == pytest.approx(0.0)
    assert gini(np.array([2, 2, 2]), 4) == pytest.approx(0.75)
    assert gini(np.array([], np.int32), 4) == 0.0


# --- cold items


def test_nothing_cold_is_learned(log: Log) -> None:
    task, cold = cold_ones(log, seed=3), cold_items(log, 3)
    assert cold.sum() == 3
    learned = np.concatenate([*task.pasts, *task.before, *task.validation.pasts, task.validation.targets])
    assert not cold[learned].any()
    assert cold[task.targets].all()
    ends = np.array([sequence[-1] for sequence in log.sequences])
    assert len(task.asked) == cold[ends].sum() > 0
    assert (cold_items(log, 3) == cold).all()
    assert (cold_items(log, 4) != cold).any()


def test_words_find_what_is_cold_and_clicks_do_not(log: Log) -> None:
    rows = (*COLD_BASELINES, served(None, lambda *_: None))
    found = table(log, cold_ones(log, 0), lambda _: None, 0, rows)
    popularity, content, counted, engine = found.results
    assert found.cold_items == 3
    assert best_of(popularity.qualities, 10).hit_rate == 0.0
    assert best_of(content.qualities, 10).hit_rate > 0.9
    assert content.recall_10_among_cold == counted.recall_10_among_cold == 1.0
    assert engine.recall_10_among_cold is not None
    assert engine.recall_10_among_cold >= best_of(engine.qualities, 10).hit_rate


# --- one cut through time


def test_a_cut_by_hand() -> None:
    sequences = [np.array(s, np.int32) for s in ([1, 2, 1, 3], [4, 5], [6, 6], [7])]
    times = [np.array(t, np.float64) for t in ([1, 2, 8, 9], [1, 3], [2, 9], [9])]
    found = cut(sequences, times, 0.5)
    assert found.at == 3
    assert [past.tolist() for past in found.pasts] == [[1, 2], [4], [6]]
    assert found.asked.tolist() == [0, 1]  # the third came back for the same item, the fourth never came before
    assert found.targets.tolist() == [3, 5]


def test_nothing_from_after_the_cut_is_known(tmp_path: Path) -> None:
    whole = read(write(tmp_path, [walk * 2 for walk in circle()], timed=True))
    times = [np.sort(np.random.default_rng(n).uniform(1, 100, 10)) for n in range(300)]
    task = later_ones(whole._replace(times=tuple(times), sequences=tuple(
        np.random.default_rng(n).permutation(ITEMS)[:10].astype(np.int32) for n in range(300))), 0)  # fmt: skip
    limit = np.quantile(np.concatenate(times), 0.8)
    assert sum(map(len, task.pasts)) == sum((mine < limit).sum() for mine in times)
    assert sum(map(len, task.before)) == 0.8 * sum(map(len, task.pasts))
    assert all(target not in task.pasts[who] for who, target in zip(task.asked, task.targets, strict=True))


def test_a_time_split_wants_times_and_somebody_who_comes_back(log: Log, tmp_path: Path) -> None:
    with pytest.raises(Unacceptable, match="has no times"):
        later_ones(log, 0)
    once = read(write(tmp_path, [[1, 1, 1]] * 9, timed=True))
    with pytest.raises(Unacceptable, match="nobody took something new"):
        later_ones(once, 0)


# --- the command


def test_a_report_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write(tmp_path, kinds()), tmp_path / "report"
    assert run(["evaluate", str(folder), "--protocol", "cold", "--out", str(out), "--json"]) == 0
    assert {path.name for path in out.iterdir()} == {
        "evaluation.json", "ndcg.png", "recall.png", "coverage.png", "training"
    }  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    assert json.loads((out / "evaluation.json").read_bytes()) == said
    assert said["results"][0]["qualities"][0]["diversity"] is None or said["results"][0]["recall_10_among_cold"] >= 0
    assert (out / "ndcg.png").read_bytes().startswith(b"\x89PNG")
    log, warm = read(folder), read(out / "training")
    cold = {log.items[number] for number in np.nonzero(cold_items(log, 0))[0]}
    learned = {warm.items[number] for sequence in warm.sequences for number in sequence}
    assert learned == set(log.items) - cold


def test_a_bundle_trained_for_this_alone_has_never_seen_what_is_cold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, kinds(150))
    assert run(["evaluate", str(folder), "--protocol", "cold", "--train", "tiny", "--json"]) == 0
    found = {result["model"]: result for result in json.loads(capsys.readouterr().out)["results"]}
    assert list(found)[-4:] == [
        "daogou, no model", "daogou, no model, told what is new", "daogou, bundle tiny",
        "daogou, bundle tiny, told what is new",
    ]  # fmt: skip
    told, untold = (found[f"daogou, bundle tiny{how}"]["qualities"] for how in (", told what is new", ""))
    assert [each["hit_rate"] for each in told] >= [each["hit_rate"] for each in untold]
    assert run(["evaluate", str(folder), "--train", "tiny", "--bundle", "anything"]) == 2
    assert "without --bundle" in capsys.readouterr().err


def test_a_bundles_row_alone(tmp_path: Path, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, kinds(60))
    command = ["evaluate", str(folder), "--bundle-only"]
    assert run([*command, "--bundle", str(trained.bundle.folder), "--json"]) == 0
    [alone] = json.loads(capsys.readouterr().out)["results"]
    assert (alone["model"], alone["gain"]) == (f"daogou, bundle {trained.bundle.manifest.name}", None)
    assert run(command) == 2
    assert "--bundle or --train" in capsys.readouterr().err


def test_the_time_split_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    folder = tmp_path / "timed"
    folder.mkdir()
    with gzip.open(folder / "events.jsonl.gz", "wt") as file:
        for user, walk in enumerate(circle()):
            for at, item in enumerate(walk):
                row = {"user_id": f"u{user}", "item_id": f"i{item}", "event_type": "click"}
                row |= {"timestamp": START + at * DAY + user, "seq": at}
                file.write(json.dumps(row) + "\n")
    assert run(["evaluate", str(folder), "--protocol", "time-split"]) == 0
    shown = capsys.readouterr().out
    assert "time split at 2014-05-16" in shown
    assert "daogou, no model" in shown
    assert "300 shoppers, 60 items" in shown
    untimed = write(tmp_path, circle())
    assert run(["evaluate", str(untimed), "--protocol", "time-split"]) == 1
    assert "has no times" in capsys.readouterr().err


def test_the_whole_comparison_reads_back(log: Log) -> None:
    import msgspec

    found = table(log, last_one(log, 0), lambda _: None, 0, COLD_BASELINES)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found
    assert found.results[0].ndcg_10.low <= found.results[0].ndcg_10.mean <= found.results[0].ndcg_10.high
