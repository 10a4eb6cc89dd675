"""Metrics against hand-made answers, and the count model on a log whose answer is known."""

import gzip
import json
from pathlib import Path

import numpy as np

from contracts.settings import EngineSettings
from evaluation.baselines.item_knn import ItemKnn
from evaluation.baselines.popularity import Popularity
from evaluation.baselines.transitions import Constants, Transitions, recency_matrix, without_seen
from evaluation.compare import BASELINES, ranked, served, table
from evaluation.engine_row import ranks_in
from evaluation.metrics import best_of, compare, hit_rate, ndcg, quality, ranks_of, reciprocal_rank
from evaluation.sequences import attribute_matrix, leave_one_out, read
from evaluation.task import last_one
from evaluation.whole import against_all, everything
from tests.trained import Trained


def test_ranks_are_pessimistic_and_nan_is_last() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.1], [np.nan, 1.0, 2.0, 3.0], [0.0, -np.inf, 1.0, 1.0]], np.float32)
    assert ranks_of(scores, np.array([1, 0, 1], np.int32)).tolist() == [2, 4, 4]


def test_metrics_by_hand() -> None:
    ranks = np.array([0, 1, 9, 10])
    assert hit_rate(ranks, 10).tolist() == [1, 1, 1, 0]
    np.testing.assert_allclose(ndcg(ranks, 10), [1, 1 / np.log2(3), 1 / np.log2(11), 0])
    np.testing.assert_allclose(reciprocal_rank(ranks, 10), [1, 0.5, 0.1, 0])


def test_a_difference_that_is_there_is_found() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=500)
    better = compare(noise + 0.5, noise)
    assert better.low > 0.4
    same = compare(rng.normal(size=500), rng.normal(size=500))
    assert same.low < 0 < same.high


def cycle(shoppers: int = 200, items: int = 12) -> list[np.ndarray]:
    """Everybody goes around the same circle: after i comes i + 1."""
    return [(np.arange(5) + start).astype(np.int32) % items for start in range(shoppers)]


def test_the_count_model_knows_what_comes_next() -> None:
    pasts = cycle()
    model = Transitions(pasts, 12, Constants(window=1, base=0.1, popularity_weight=0.0))
    scores = without_seen(model.scores([np.array([2, 3], np.int32)]), [np.array([2, 3], np.int32)])
    assert scores.argmax() == 4
    _, tops = ranked(model, pasts, np.array([(p[-1] + 1) % 12 for p in pasts], np.int32))
    assert (tops[:, 0] == [(p[-1] + 1) % 12 for p in pasts]).all()


def test_neighbours_and_popularity() -> None:
    pasts = [np.array([0, 1], np.int32)] * 5 + [np.array([2, 3], np.int32)] * 3 + [np.array([4], np.int32)]
    assert ItemKnn(pasts, 5, shrinkage=0.0).scores([np.array([0], np.int32)]).argmax() == 1
    assert Popularity(pasts, 5).scores([np.array([4], np.int32)])[0].tolist() == [5, 5, 3, 3, 1]


def test_recency_counts_down() -> None:
    matrix = recency_matrix([np.array([3, 1], np.int32), np.array([], np.int32)], 4, 0.5).toarray()
    assert matrix.tolist() == [[0, 1, 0, 0.5], [0, 0, 0, 0]]


def write(folder: Path, sequences: list[np.ndarray]) -> Path:
    with gzip.open(folder / "events.jsonl.gz", "wt") as file:
        for user, sequence in enumerate(sequences):
            for at, item in enumerate(sequence):
                row = {"user_id": f"u{user}", "item_id": f"i{item}", "event_type": "view", "timestamp": None, "seq": at}
                file.write(json.dumps(row) + "\n")
    with gzip.open(folder / "items.jsonl.gz", "wt") as file:
        for item in range(12):
            file.write(json.dumps({"item_id": f"i{item}", "title": f"Lamp {item}", "category": "Home > Light"}) + "\n")
    return folder


def test_a_folder_from_end_to_end(tmp_path: Path) -> None:
    log = read(write(tmp_path, cycle()))
    split = leave_one_out(log)
    assert len(split.pasts) == 200
    assert attribute_matrix(log).shape[0] == 12
    said: list[str] = []
    compared = table(log, last_one(log, 0), said.append, 0, BASELINES)
    assert compared.results[0].model == "popularity"
    assert len(said) == 5
    by_name = {result.model: best_of(result.qualities, 1) for result in compared.results}
    assert by_name["transitions"].hit_rate == 1.0
    assert by_name["popularity"].hit_rate < 0.5


def test_what_serves_answers_with_its_own_lists(tmp_path: Path) -> None:
    """Everybody goes around the same circle: the engine, having learned it, puts what comes next first."""
    log = read(write(tmp_path, cycle()))
    found = table(log, last_one(log, 0), lambda _: None, 0, (*BASELINES, served(None, lambda *_: None)))
    row = found.results[-1]
    assert row.model == "daogou, no model"
    assert best_of(row.qualities, 1).hit_rate > 0.9
    assert best_of(row.qualities, 10).ndcg > 0.9


def test_candidates_lose_nothing_where_all_items_are_candidates_anyway(tmp_path: Path, trained: Trained) -> None:
    log = read(write(tmp_path, cycle()))
    task, few = last_one(log, 0), EngineSettings(considered=10, candidates=10, per_source=1)
    wide = against_all(log, task, trained.bundle, everything(few, log), lambda *_: None, 5, 0)
    assert (wide.shoppers, wide.lost_ndcg_10.mean) == (5, 0.0)
    narrow = against_all(log, task, trained.bundle, few, lambda *_: None, 5, 0)
    assert (narrow.whole_hit_rate_10, narrow.whole_ndcg_10) == (wide.whole_hit_rate_10, wide.whole_ndcg_10)


def test_a_list_that_ends_counts_what_it_has() -> None:
    lists = np.array([[3, 1, -1], [2, -1, -1]], np.int32)
    assert ranks_in(lists, np.array([1, 0], np.int32), 9).tolist() == [1, 9]
    assert quality(np.array([1, 9]), lists, np.ones(5, np.int64), 3).coverage == 3 / 5
