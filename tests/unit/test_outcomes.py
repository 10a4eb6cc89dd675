"""What came of an answer: stars and return visits, learned beside the order and never at its cost."""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from safetensors.numpy import load_file

from contracts.bundle import Bundle
from contracts.dialects.dataset import UNTIMED_MS
from contracts.errors import BundleRefused
from contracts.events import AnyEvent, Click, ItemId, Review, UserId
from contracts.features import HEADS, ORDER_HEADS
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from contracts.profile import Profile
from contracts.settings import EngineSettings, ModelSettings
from export.export import export_bundle
from inference.engine import Engine
from inference.serving import load
from tests.tiny_shop import ask
from tests.trained import Trained
from training.config import PRESETS, RANKER_WEIGHTS, load_checkpoint
from training.lists import NO_HEAD, Lists
from training.log import read_log
from training.outcomes import VISIT_GAP_MS, WITHIN_MS, area, outcome_figures, rating_of, return_visits, taught
from training.replay import Replay, heads_of
from training.train import train

START = 1_767_225_600_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
PLAN = replace(
    PRESETS["tiny"], epochs=3, learning_rate=5e-3, encoder=replace(PRESETS["tiny"].encoder, contrastive_epochs=1)
)


def click(user: int, minute: int, item: int = 0) -> Click:
    return Click(event_id=f"c{user}-{minute}", user_id=f"u{user}", time_ms=START + minute * MINUTE, item_id=f"i{item}")


def review(user: int, minute: int, item: int, stars: float | None) -> Review:
    at = START + minute * MINUTE
    return Review(event_id=f"r{user}-{minute}", user_id=f"u{user}", time_ms=at, item_id=f"i{item}", rating=stars)


def one_by_one(events: Sequence[AnyEvent]) -> list[float]:
    """What ``return_visits`` should say, by looking at all pairs; seconds are whole here."""
    last = events[-1].time_ms
    return [
        math.nan
        if last - event.time_ms < WITHIN_MS
        else float(
            any(
                other.user_id == event.user_id and VISIT_GAP_MS <= other.time_ms - event.time_ms <= WITHIN_MS
                for other in events
            )
        )
        for event in events
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30 * 24 * 60)), min_size=1, max_size=40))
def test_a_return_visit_is_what_the_shopper_does_after_the_visit_and_within_a_week(
    asked: list[tuple[int, int]],
) -> None:
    events = [click(user, minute) for user, minute in sorted(asked, key=lambda each: each[1])]
    np.testing.assert_array_equal(return_visits(events), np.array(one_by_one(events), np.float32))


def test_without_times_nobody_knows_who_came_back() -> None:
    events = [replace(click(0, 0), time_ms=UNTIMED_MS + n) for n in range(4)]
    assert np.isnan(return_visits(events)).all()
    assert len(return_visits([])) == 0


def test_a_rating_is_a_share_of_five_stars() -> None:
    assert rating_of(review(0, 0, 0, 4.0)) == 0.8
    assert math.isnan(rating_of(review(0, 0, 0, None)))
    assert math.isnan(rating_of(click(0, 0)))


def test_an_outcome_is_taught_by_enough_answers_that_are_not_all_alike() -> None:
    some = np.full((60, 2), np.nan, np.float32)
    some[:, 0] = np.linspace(0, 1, 60)
    assert taught([some]) == ()
    some[:, 1] = 1.0
    assert taught([some, some]) == ("rating",)
    assert taught([]) == ()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_area_is_how_often_a_true_one_is_said_to_be_likelier(asked: list[tuple[int, bool]]) -> None:
    said, truth = np.array([s for s, _ in asked], np.float32), np.array([t for _, t in asked])
    pairs = [(a > b) + 0.5 * (a == b) for a in said[truth] for b in said[~truth]]
    if pairs:
        assert area(said, truth) == pytest.approx(np.mean(pairs))


def test_figures_are_of_what_is_known_alone() -> None:
    said = np.array([[0.8, 0.9], [0.6, 0.1], [0.5, 0.5]], np.float32)
    truth = np.array([[1.0, 1.0], [0.6, 0.0], [np.nan, np.nan]], np.float32)
    found = outcome_figures(said, truth)
    assert found["validation_rating_rmse"] == pytest.approx(math.sqrt(0.5), abs=1e-6)
    assert found["validation_rating_rmse_of_mean"] == pytest.approx(1.0, abs=1e-6)
    assert (found["validation_return_visit_auc"], found["validation_return_visit_share"]) == (1.0, 0.5)
    assert outcome_figures(said, np.full((3, 2), np.nan, np.float32)) == {}


def table() -> ItemTable:
    made = ItemTable(4)
    for number in range(12):
        made.upsert(CatalogueItem(item_id=f"i{number}", title=f"item {number}"))
        made.set_vector(ItemId(f"i{number}"), np.full(4, 0.5, np.float32))
    return made


def test_a_review_beside_clicks_teaches_stars_alone() -> None:
    events = [click(0, 0, 1), click(0, 1, 2), review(0, 2, 2, 5.0), review(0, 3, 3, None), click(0, 4, 4)]
    (batch,) = Replay(Lists(table(), 7, 10, 4, 0), heads_of(events), return_visits(events)).run(events)
    assert batch.heads.tolist() == [0, NO_HEAD, 0]
    assert batch.outcomes[:, 0].tolist() == pytest.approx([math.nan, 1.0, math.nan], nan_ok=True)
    assert not batch.proposed[1]


def write(folder: Path, events: Sequence[AnyEvent]) -> tuple[Path, Path]:
    items = [
        CatalogueItem(item_id=f"i{n}", title=f"{('good', 'poor')[n % 2]} thing {n}", category=("all", f"c{n % 4}"))
        for n in range(24)
    ]
    paths = folder / "events.jsonl", folder / "items.jsonl"
    paths[0].write_bytes(b"\n".join(msgspec.json.encode(event) for event in events))
    paths[1].write_bytes(b"\n".join(msgspec.json.encode(item) for item in items))
    return paths


def rated(stars: bool) -> list[AnyEvent]:
    """Sixteen shoppers who review what they go through: even items are good, odd ones bad."""
    walks = ((n % 16, n, (n // 16 * 5 + n % 16) % 24) for n in range(960))
    return [review(user, n, item, (5.0 if item % 2 == 0 else 1.0) if stars else None) for user, n, item in walks]


def test_stars_are_learned_and_the_order_is_what_it_is_without_them(tmp_path: Path, trained: Trained) -> None:
    """Bit by bit: what teaches stars must not cost the order anything."""
    weights = {}
    for stars in (True, False):
        folder = tmp_path / f"{stars}"
        folder.mkdir()
        train(read_log(*write(folder, rated(stars))), folder / "out", PLAN, lambda _: None)
        weights[stars] = load_file(folder / "out" / RANKER_WEIGHTS)
    order = [name for name in weights[True] if not name.startswith("ranker.outcomes.")]
    assert all(np.array_equal(weights[True][name], weights[False][name]) for name in order)
    with_stars, without = (load_checkpoint(tmp_path / name / "out") for name in ("True", "False"))
    assert (with_stars.outcomes, without.outcomes) == (("rating",), ())
    found = {figure.name: figure.value for figure in with_stars.facts.metrics}
    assert found["validation_rating_rmse"] < 0.8 * found["validation_rating_rmse_of_mean"]
    assert_served(tmp_path / "True", trained.bundle)


def assert_served(folder: Path, plain: Bundle) -> None:
    """A bundle has the heads that were taught, and a worth for a head that it does not have is refused."""
    starred, wanted = export_bundle(folder / "out", folder / "bundle", "starred"), EngineSettings(rating_value=1.0)
    assert (starred.manifest.heads, plain.manifest.heads) == ((*ORDER_HEADS, "rating"), ORDER_HEADS)
    assert load(starred, wanted, ModelSettings()).provider == "CPUExecutionProvider"
    with pytest.raises(
        BundleRefused, match=r"rating_value above 0, but the bundle tiny has only the heads click, cart"
    ):
        load(plain, wanted, ModelSettings())


def test_every_head_has_a_name() -> None:
    assert HEADS == ("click", "cart", "purchase", "rating", "return_visit")


def test_a_slate_is_silent_about_what_its_bundle_was_not_taught(trained: Trained) -> None:
    """The shop's log has no reviews, and is shorter than the week after which a return is known."""
    engine = Engine(trained.bundle, EngineSettings(), ModelSettings())
    for item in trained.shop.items[:20]:
        engine.upsert(item)
    (slate,) = engine.recommend([ask(Profile(UserId("u")))])
    said = [slot.probabilities for slot in slate.items]
    assert said
    assert all(each and 0.0 < each.click < 1.0 and each.rating is None and each.return_visit is None for each in said)
