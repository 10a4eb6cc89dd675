"""Stars from texts: the bias model beside, histories without the future, and slates by the cross-encoder."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.biases import Bias, Biases, BiasTable, shopper_key
from contracts.bundle import Bundle, open_bundle
from contracts.errors import BundleRefused
from contracts.events import ItemId, Review, UserId
from contracts.messages import CatalogueItem
from contracts.pairs import HISTORY_ITEMS, Pair, history_items, history_text
from contracts.settings import EngineSettings, ModelSettings
from inference.engine import Engine
from inference.heads import Head, biases_of
from inference.scorers.cross_encoder import CrossEncoder
from inference.serving import load
from launch.cli import run
from launch.finetuning_rating import difference
from tests.tiny_bundle import tiny_bundle
from tests.tiny_shop import NOW_MS, ask, ids_of, item, profile_after, view
from training.bias import choose_biases, fit_biases, plain, plain_forward, rmse, stars_of
from training.rated import Rated, split_rated

DAY = 86_400


def shop_rows() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Gold is loved and tin is not; each item is rated twice in a row, so that the last ones are new to all."""
    rng = random.Random(0)
    items: list[dict[str, object]] = []
    events: list[dict[str, object]] = []
    for number in range(300):
        metal = rng.choice(("gold", "tin"))
        items.append({"item_id": f"i{number}", "title": f"{metal} {rng.choice(('ring', 'cup', 'box'))}"})
        for turn in range(2):
            stars = (5 if metal == "gold" else 2) - (rng.random() < 0.1)
            who = f"u{rng.randrange(40)}"
            at = DAY * (2 * number + turn + 1)
            events.append({"user_id": who, "item_id": f"i{number}", "event_type": "rating", "timestamp": at,
                           "value": stars, "title": "said", "text": f"{at}"})  # fmt: skip
    return events, items


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("rating")
    events, items = shop_rows()
    words = ["finetune", write(folder / "events.jsonl", events), write(folder / "items.jsonl", items)]
    options = [
        "--task",
        "rating",
        "--dim",
        "32",
        "--max-tokens",
        "32",
        "--epochs",
        "12",
        "--learning-rate",
        "0.003",
        "--out",
        str(folder / "out"),
    ]
    assert run([*words, *options]) == 0
    return open_bundle(folder / "out")


def test_text_beats_biases_where_only_text_can_know(made: Bundle) -> None:
    found = {figure.name: figure.value for figure in made.manifest.training.metrics}
    assert (made.manifest.kind, made.manifest.heads) == ("regressor", ("rating",))
    assert found["test_rmse"] < 0.7
    assert min(found["bias_model_rmse"], found["user_mean_rmse"]) > 1.2
    assert found["test_minus_bias_model_rmse_high"] < 0
    assert {"global_mean_mae", "item_mean_rmse", "test_mae", "validation_bias_model_rmse"} <= set(found)


def test_no_shopper_is_named_in_the_bundle(made: Bundle) -> None:
    biases = biases_of(made)
    assert (biases.low, biases.high) == (1.0, 5.0)
    assert shopper_key("u1") in {bias.key for bias in biases.shoppers}
    assert '"u1"' not in made.read("biases.json").decode()


def catalogue() -> list[CatalogueItem]:
    metals = ("gold", "tin")
    return [item(n, title=f"{metals[n % 2]} ring", category=("all",), brand="") for n in range(12)]


def engine_of(tmp_path: Path, made: Bundle) -> Engine:
    engine = Engine(tiny_bundle(tmp_path), EngineSettings(), ModelSettings(cross_encoder=made.folder))
    for each in catalogue():
        engine.upsert(each)
    for embedding in engine.embed(catalogue()):
        engine.set_embedding(embedding)
    return engine


def test_the_cross_encoder_makes_slates(tmp_path: Path, made: Bundle) -> None:
    engine = engine_of(tmp_path, made)
    slate, other = engine.recommend([ask(profile_after([view(0)]), limit=4), ask(profile_after([]), limit=4)])
    for each in (slate, other):
        assert each.degraded is None
        assert len(each.items) == 4
        assert {int(i[1:]) % 2 for i in ids_of(each.items)} == {0}, "tin before gold"
        assert all(0 <= shown.score <= 1 for shown in each.items)


def test_bound_it_is_warmed_in_all_shapes_and_scores_the_same(made: Bundle) -> None:
    """As on a GPU, with the CPU as the device: no shopper's slate is the first of its shape."""
    plain, bound = (Head(made, ModelSettings(), device) for device in (None, "cpu"))
    bound.warm()
    met = bound._model.bound.kept_shapes
    texts = [Pair("gold ring", "tin ring " * words) for words in (0, 1, 40)] * 3
    np.testing.assert_allclose(bound.scores(texts), plain.scores(texts), atol=1e-5)
    assert bound._model.bound.kept_shapes == met > 0


def test_another_scorer_is_another_recommendation(tmp_path: Path, made: Bundle) -> None:
    engine = engine_of(tmp_path, made)
    plain_engine = Engine(tiny_bundle(tmp_path / "b"), EngineSettings(), ModelSettings())
    event = ask(profile_after([])).trigger.event_id
    assert engine.bundle_digest == plain_engine.bundle_digest
    assert engine.recommendation_id(event) != plain_engine.recommendation_id(event)


def test_only_a_regressor_is_a_cross_encoder_and_it_is_no_recommender(tmp_path: Path, made: Bundle) -> None:
    with pytest.raises(BundleRefused, match="'recommender': a cross-encoder is a regressor"):
        CrossEncoder(tiny_bundle(tmp_path), ModelSettings())
    with pytest.raises(BundleRefused, match=r"is a regressor.*no slates"):
        load(made, EngineSettings(), ModelSettings())


def test_without_consent_no_bias_and_no_history(tmp_path: Path, made: Bundle) -> None:
    """Whoever refused gets what a stranger gets."""
    from msgspec.structs import replace

    engine = engine_of(tmp_path, made)
    refused = replace(profile_after([view(0)], "u1"), consent=False)
    ours, stranger = engine.recommend([ask(refused, "a"), ask(profile_after([], "nobody"), "b")])
    assert [shown.score for shown in ours.items] == [shown.score for shown in stranger.items]


def test_score_text_rates_an_item_beside_a_history(
    made: Bundle, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows: list[dict[str, object]] = [{"text": "gold cup", "beside": "tin ring"}, {"text": "tin cup"}]
    assert run(["score-text", str(made.folder), write(tmp_path / "pairs.jsonl", rows)]) == 0
    first, second = (json.loads(line)["rating"] for line in capsysbinary.readouterr().out.splitlines())
    assert 5 >= first > second + 1 >= 2


def test_the_served_pair_is_cut_at_its_oldest(made: Bundle) -> None:
    head = Head(made, ModelSettings())
    long = history_text([ItemId("x")] * 50, lambda _: "gold ring")
    found = head.scores([Pair("tin box", long), Pair("tin box", long + " ; tin cup")])
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(found[1])


def review(user: str, item_id: str, day: int, stars: float, text: str = "words") -> Review:
    return Review(event_id=f"{user}.{item_id}.{day}", user_id=user, item_id=item_id, time_ms=NOW_MS + day * 1000,
                  rating=stars, text=text)  # fmt: skip


def test_a_history_knows_neither_the_present_nor_the_future() -> None:
    events = [review("u", f"i{day}", day, 4.0, f"said{day}") for day in range(20)]
    copies = [review("u", "copy", 10, 4.0, "said10"), review("u", "i5", 5, 4.0, "said5")]
    parts = split_rated([*reversed(events), *copies], [CatalogueItem(item_id="i3", title="three")])
    every = [each for part in parts for each in part]
    assert len(every) == 21, "the same review of the same item counts once"
    assert [each.item_id for each in every if each.time_ms == NOW_MS + 10_000] == ["i10", "copy"]
    copied = next(each for each in every if each.item_id == "copy")
    assert "said10" not in copied.pair.beside
    assert copied.pair.beside.startswith("said9 ; said8 ; said7")
    assert "three" in copied.pair.beside
    last = parts.learn[-1].time_ms
    assert not any(f"said{day}" in "".join(parts.test[-1].pair) for day in range(20) if NOW_MS + day * 1000 > last)


def test_a_history_is_short_and_each_item_stands_once() -> None:
    profile = profile_after([view(n, item_id=f"i{n % 15}", age_ms=60_000 - n) for n in range(30)])
    found = history_items(profile)
    assert len(found) == HISTORY_ITEMS == len(set(found))
    assert found[0] == "i14"
    assert history_items(profile, NOW_MS - 60_000) == []


def rated(user: str, item_id: str, stars: float, at: int = 0) -> Rated:
    return Rated(UserId(user), ItemId(item_id), at, stars, Pair(""), f"{user}{at}")


def test_biases_by_hand() -> None:
    learn = [rated("a", "x", 5.0), rated("b", "x", 3.0), rated("a", "y", 1.0), rated("b", "y", 3.0)]
    biases = fit_biases(learn, 2.0, 0.0)
    assert biases.mean == 3.0
    assert {bias.key: bias.value for bias in biases.items} == {"x": 0.5, "y": -0.5}
    assert {bias.value for bias in biases.shoppers} == {0.0}
    table = BiasTable(Biases(low=1, high=5, residual=True, mean=3.0, items=(Bias("x", 0.5),),
                             shoppers=(Bias(shopper_key("a"), 1.0),)))  # fmt: skip
    assert (table.rating("a", "x"), table.rating(None, "x"), table.rating("new", "new")) == (4.5, 3.5, 3.0)


def test_damping_is_chosen_on_validation() -> None:
    """Single ratings that say nothing of the next ones: the more damping the better."""
    rng = np.random.default_rng(0)
    learn, choose = ([rated(f"u{n}", "x", float(s)) for n, s in enumerate(rng.integers(1, 6, 3000))] for _ in range(2))
    fitted = choose_biases(learn, choose)
    assert fitted.of_shoppers >= 100
    assert rmse(plain(fitted.biases, choose), stars_of(choose)) < 1.5


def test_what_is_left_to_learn_is_of_biases_that_had_not_seen_it() -> None:
    learn = [rated(f"u{n}", f"i{n}", float(1 + n % 5), n) for n in range(50)]
    fitted = choose_biases(learn, learn)._replace(of_items=0.0, of_shoppers=0.0)
    assert rmse(plain(fit_biases(learn, 0.0, 0.0), learn), stars_of(learn)) < 0.01
    assert rmse(plain_forward(fitted, learn), stars_of(learn)) > 1.0


def test_an_interval_is_over_shoppers_not_over_their_copies() -> None:
    rng = np.random.default_rng(1)
    truth, ours, theirs = (np.repeat(rng.normal(size=30), 8) for _ in range(3))
    owners = [f"u{n // 8}" for n in range(240)]
    alone = difference(ours, theirs, truth, [str(n) for n in range(240)])
    low, high = difference(ours, theirs, truth, owners)
    assert high - low > 1.5 * (alone[1] - alone[0])
