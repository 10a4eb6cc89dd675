"""Training: it learns what is there to learn, twice the same, and says what is wrong with a log."""

import gzip
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from contracts.errors import Unacceptable, Unreadable
from contracts.events import Click, Impression, ItemId, View
from contracts.features import FEATURES
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from launch.cli import run
from tests.trained import Trained
from training.config import PRESETS, RANKER_WEIGHTS, load_checkpoint
from training.lists import Lists
from training.log import read_log
from training.replay import HEAD_OF, Replay, heads_of
from training.train import train

START = 1_767_225_600_000
TINY = msgspec.structs.replace(PRESETS["tiny"], epochs=1)


def replay_of(lists: Lists) -> Replay:
    """A replay in which clicks are clicks."""
    return Replay(lists, HEAD_OF)


def table(count: int) -> ItemTable:
    made = ItemTable(4)
    for number in range(count):
        made.upsert(CatalogueItem(item_id=f"i{number}", title=f"item {number}"))
        made.set_vector(ItemId(f"i{number}"), np.ones(4, np.float32) / 2)
    return made


def clicks(count: int) -> list[Click]:
    """Two shoppers who click on the items in turns."""
    return [
        Click(event_id=f"e{n}", user_id=f"u{n % 2}", time_ms=START + n * 1000, item_id=f"i{n // 2 % 20}")
        for n in range(count)
    ]


def test_an_example_has_not_seen_its_answer() -> None:
    replay = replay_of(Lists(table(20), negatives=7, history_limit=10, text_dim=4, seed=0))
    batches = list(replay.run(clicks(30)))
    heads = np.concatenate([batch.heads for batch in batches])
    assert (heads == 0).all()
    for batch in batches:
        newest = batch.history.rows[:, -1]
        assert (batch.candidates[:, 0] != newest).all()
        assert not (batch.candidates[:, 1:] == batch.candidates[:, :1]).any()


def test_some_batches_are_asked_of_a_shop_that_counted_nothing() -> None:
    replay = replay_of(Lists(table(20), negatives=7, history_limit=10, text_dim=4, seed=0))
    log, counted = clicks(2400), FEATURES.index("trend")
    teaches = [bool(batch.features[..., counted].any()) for batch in replay.run(log[:1600], cold=3)]
    assert teaches == [False, True, False, True, True, False, True]  # before the first nothing was counted
    assert all(batch.features[..., counted].any() for batch in replay.run(log[1600:]))


def test_an_example_stands_before_its_list_was_shown() -> None:
    past = Click(event_id="p", user_id="u", time_ms=START, item_id="i1")
    shown = Impression(event_id="s", user_id="u", time_ms=START + 1000, items=("i3", "i4", "i5"))
    click = Click(event_id="c", user_id="u", time_ms=START + 2000, item_id="i4")
    (batch,) = replay_of(Lists(table(20), negatives=12, history_limit=10, text_dim=4, seed=0)).run([past, shown, click])
    assert batch.candidates[0, 0] == 4
    assert {3, 5} <= set(batch.candidates[0].tolist())
    assert batch.times_ms[0] == START + 1000
    assert batch.features[0, :, FEATURES.index("shown")].max() == 0.0  # nothing was shown yet
    chosen_from = batch.candidates[0][batch.choice_set[0]].tolist()
    assert chosen_from[0] == 4
    assert sorted(chosen_from) == [3, 4, 5]  # what was not shown was not refused


def test_views_stand_for_clicks_where_there_are_none() -> None:
    views = [View(event_id=f"e{n}", user_id="u", time_ms=START + n, item_id=f"i{n}") for n in range(5)]
    (batch,) = Replay(Lists(table(20), 4, 10, 4, 0), heads_of(views)).run(views)
    assert len(batch.heads) == 4


def test_it_is_never_worse_than_what_it_starts_from(trained: Trained) -> None:
    figures = {figure.name: figure.value for figure in trained.bundle.manifest.training.metrics}
    assert figures["validation_ndcg_at_10"] >= figures["validation_blend_ndcg_at_10"]
    assert figures["validation_ndcg_at_10"] > figures["validation_popularity_ndcg_at_10"]


def write_log(folder: Path, events: list[Click]) -> Path:
    path = folder / "events.jsonl.gz"
    with gzip.open(path, "wb") as file:
        file.writelines(msgspec.json.encode(event) + b"\n" for event in events)
    return path


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path, clicks(200)), None)
    for name in ("one", "two"):
        train(log, tmp_path / name, TINY, lambda _: None)
    one, two = (load_file(tmp_path / name / RANKER_WEIGHTS) for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert load_checkpoint(tmp_path / "one").facts.items == 20


@pytest.mark.parametrize("events", [clicks(2), []], ids=["nobody returns", "empty"])
def test_a_log_that_teaches_nothing_is_refused(tmp_path: Path, events: list[Click]) -> None:
    path = write_log(tmp_path, events)
    with pytest.raises((Unacceptable, Unreadable)):
        train(read_log(path, None), tmp_path / "out", TINY, lambda _: None)
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "nowhere.jsonl.gz"]) == 1
    assert "nowhere.jsonl.gz cannot be read" in capsys.readouterr().err
