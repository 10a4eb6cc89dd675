"""The engine on data whose answer is known."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tiny_bundle import tiny_bundle
from tiny_shop import DAY_MS, NOW_MS, ask, engine_with, ids_of, item, profile_after, teach, thing_of, view

from contracts.bundle import Bundle
from contracts.events import CartAdd, Click, Consent, Hide, ItemId, Line, Purchase
from contracts.features import FEATURES
from contracts.metrics import Metrics
from contracts.settings import EngineSettings, ModelSettings
from inference.ask import Wish
from inference.engine import EMPTY_CATALOGUE, MODEL_FAILED, NO_MODEL, Engine

STOCK = [item(n) for n in range(60)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(params=["model", "plain"])
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Engine:
    return engine_with(bundle if request.param == "model" else None, STOCK)


def one(engine: Engine, *events, **more):
    [slate] = engine.recommend([ask(profile_after(events), **more)])
    return slate


def test_an_empty_catalogue_gives_an_empty_slate_that_says_so(bundle):
    slate = one(Engine(bundle, EngineSettings(), ModelSettings()))
    assert (slate.items, slate.degraded) == ((), EMPTY_CATALOGUE)


def test_no_asks_no_slates(engine):
    assert engine.recommend([]) == []


def test_without_a_bundle_every_slate_says_so():
    slate = one(engine_with(None, STOCK))
    assert (slate.degraded, slate.bundle, len(slate.items)) == (NO_MODEL, None, 10)


def test_a_receipt_holds_where_it_came_from(bundle):
    engine = engine_with(bundle, STOCK)
    slate = one(engine, view(1))
    assert slate.bundle == bundle.digest
    assert (slate.user_id, slate.profile_version, slate.trigger.event_id) == ("u", 1, "e")
    assert slate.recommendation_id == engine.recommendation_id("e")
    assert [t.stage for t in slate.stages] == [
        "sources", "merge", "filters", "features", "prerank", "scorer", "selector", "reasons"
    ]  # fmt: skip
    assert slate.degraded is None
    assert all(i.reason and i.source and i.probabilities for i in slate.items)


def test_a_bundle_that_reads_fewer_features_ranks_by_those(tmp_path, bundle):
    """As one does that was made before there was a feature more: the columns are found by their names."""
    fewer = tuple(name for name in FEATURES if name not in ("co_occurrence_last", "bought"))  # the tiny one's are 0
    narrow = engine_with(tiny_bundle(tmp_path / "narrow", features=fewer), STOCK)
    whole = engine_with(bundle, STOCK)
    for engine in (narrow, whole):
        teach(engine, [["i0", "i3"]] * 20 + [["i3", "i7", "i9"]] * 3)
    assert one(narrow, view(0)).degraded is None
    assert [(i.item_id, i.score) for i in one(narrow, view(0)).items] == [
        (i.item_id, i.score) for i in one(whole, view(0)).items
    ]


def test_a_light_order_of_fewer_features_weighs_the_others_0(bundle):
    manifest = replace(bundle.manifest, features=("co_occurrence", "preceded"), prerank=(2.0, 3.0))
    known = dict(zip(FEATURES, manifest.light, strict=True))
    assert {name: weight for name, weight in known.items() if weight} == {"co_occurrence": 2.0, "preceded": 3.0}
    assert bundle.manifest.light == ()


def test_a_new_shopper_gets_a_full_and_varied_slate_of_what_is_popular_and_new(engine):
    teach(engine, [["i1", "i7"], ["i1", "i8"], ["i1", "i9"]])
    slate = one(engine)
    assert len(slate.items) == 10
    assert "i1" in ids_of(slate.items)
    assert len({thing_of(i.item_id) for i in slate.items}) >= 4
    assert {i.source for i in slate.items} <= {"trending", "new"}


def test_items_that_go_together_come_out_with_the_reason(engine):
    teach(engine, [["i0", "i3"]] * 20)
    found = {i.item_id: i for i in one(engine, view(0)).items}
    assert found["i3"].source == "goes-together"
    assert found["i3"].reason == "Goes with “shoe 0”, which you looked at"


def test_a_click_turns_the_slate_towards_its_category(engine):
    before = [thing_of(i.item_id) for i in one(engine).items]
    clicked = Click(event_id="c", user_id="u", time_ms=NOW_MS, item_id="i8")
    after = [thing_of(i.item_id) for i in one(engine, clicked).items]
    assert after.count("tea") > before.count("tea")
    assert after[0] == "tea"


def test_a_hidden_item_is_out_and_does_not_pull_its_likes_in(engine):
    teach(engine, [["i8", "i3"]] * 20)
    hide = Hide(event_id="h", user_id="u", time_ms=NOW_MS, item_id="i8")
    slate = one(engine, hide)
    assert "i8" not in ids_of(slate.items)
    assert {i.source for i in slate.items} <= {"trending", "new"}


def test_what_was_just_seen_bought_or_put_in_the_cart_is_not_shown(engine):
    past = [
        CartAdd(event_id="a", user_id="u", time_ms=NOW_MS - 9000, item_id="i2"),
        Purchase(event_id="b", user_id="u", time_ms=NOW_MS - 8000, lines=(Line(item_id="i4"),)),
        *(view(n, age_ms=7000 - n) for n in (6, 12, 18, 24, 30)),
    ]
    shown = set(ids_of(one(engine, *past, limit=60).items))
    assert not shown & {"i2", "i4", "i6", "i12", "i18", "i24", "i30"}
    assert "i48" in shown  # of the same kind, not met


def test_who_asks_for_a_category_or_prices_gets_them_though_no_source_would_propose_them(bundle):
    engine = engine_with(bundle, STOCK, per_source=8)
    teach(engine, [["i0", "i6"], ["i12", "i18"]] * 20)
    profile = profile_after([view(0)])
    asks = [ask(profile), *(ask(profile)._replace(wish=wish) for wish in (Wish("tent"), Wish(min_price=15.5)))]
    plain, tents, dear = engine.recommend(asks)
    assert plain.items == engine.recommend(asks[:1])[0].items
    assert [thing_of(each) for each in ids_of(tents.items)] == ["tent"] * 8
    assert len(dear.items) >= 6
    assert all(engine.item(each).price >= 15.5 for each in ids_of(dear.items))


def test_what_was_bought_long_ago_is_offered_again(engine):
    bought = Purchase(event_id="b", user_id="u", time_ms=NOW_MS - 30 * DAY_MS, lines=(Line(item_id="i4"),))
    past = [bought, *(view(n, age_ms=7000 - n) for n in range(10, 16))]
    found = {i.item_id: i for i in one(engine, *past, limit=60).items}
    assert found["i4"].reason == "You bought it before"


def test_stock_and_deletion_take_effect_on_the_next_slate(engine):
    first, second = ids_of(one(engine, view(0)).items)[:2]
    engine.upsert(item(int(first[1:]), stock=0))
    engine.delete(second)
    assert not {first, second} & set(ids_of(one(engine, view(0), limit=60).items))
    engine.upsert(item(int(first[1:])))
    assert first in ids_of(one(engine, view(0), limit=60).items)


def test_deleting_everything_empties_the_slate(engine):
    for each in STOCK:
        engine.delete(ItemId(each.item_id))
    assert one(engine, view(0)).degraded == EMPTY_CATALOGUE


def test_one_product_has_one_slot_however_many_variants(bundle):
    engine = engine_with(bundle, [item(n, group=f"g{n % 6}") for n in range(60)])
    slate = one(engine, view(0))
    things = [thing_of(i.item_id) for i in slate.items]
    assert sorted(things) == sorted(set(things))


def test_without_consent_nothing_personal_is_used(engine):
    teach(engine, [["i8", "i3"]] * 20)
    told = [view(8), Consent(event_id="n", user_id="u", time_ms=NOW_MS, granted=False)]
    refused = profile_after(told)
    [slate, stranger] = engine.recommend([ask(refused, "x"), ask(profile_after([], "v"), "x")])
    assert slate.items == stranger.items
    assert {i.source for i in slate.items} <= {"trending", "new"}


def test_an_item_without_words_is_recommended_for_what_shoppers_do(engine):
    engine.upsert(item(99, title="", category=(), brand="", description=""))
    teach(engine, [["i0", "i99"]] * 20)
    assert "i99" in ids_of(one(engine, view(0)).items)


def test_a_new_item_is_in_a_fitting_slate_at_once_and_gains_by_its_vector(bundle):
    engine = engine_with(bundle, STOCK)
    new = item(200, added_ms=NOW_MS, title="tea green tea cup")
    engine.upsert(new)
    waiting = {i.item_id: i.score for i in one(engine, view(8), limit=60).items}
    assert list(engine.waiting()) == [new]
    [vector] = engine.embed([new])
    assert engine.set_embedding(vector)
    assert not list(engine.waiting())
    ready = {i.item_id: i.score for i in one(engine, view(8), limit=60).items}
    assert ready["i200"] > waiting["i200"]


def test_events_of_items_that_the_catalogue_lacks_change_nothing(engine):
    slate, plain = one(engine, view(1, item_id="never heard of")), one(engine)
    assert ids_of(slate.items) == ids_of(plain.items)


def test_the_same_inputs_make_the_same_slate_again(bundle):
    slates = [
        one(engine_with(bundle, STOCK, temperature=0.5), view(0), view(7)) for _ in range(2)
    ]  # two engines, two processes as it were
    assert slates[0].items == slates[1].items
    assert slates[0].recommendation_id == slates[1].recommendation_id


def test_the_recommendation_id_tells_event_bundle_and_settings_apart(bundle):
    engines = engine_with(bundle, []), engine_with(None, []), engine_with(bundle, [], slate_size=3)
    ids = {engine.recommendation_id(event) for engine in engines for event in ("a", "b")}
    assert len(ids) == 6


def test_a_limit_shortens_the_slate_and_does_not_touch_the_others(bundle):
    engine = engine_with(bundle, STOCK, temperature=0.3)
    profile = profile_after([view(0)])
    short, full = engine.recommend([ask(profile, "e", 3), ask(profile, "e")])
    assert short.items == full.items[:3]
    assert len(full.items) == 10


class Breakable:
    """A scorer that does what it is told: gives NaN to some shoppers."""

    def __init__(self, scorer, lost):
        self.name, self._scorer, self._lost = scorer.name, scorer, lost

    def score(self, view, rows, features):
        scores = self._scorer.score(view, rows, features)
        scores.values[self._lost(view, rows)] = float("nan")
        return scores


def with_scores_lost(engine, lost):
    pipeline = engine._serving.pipelines["home"]
    broken = pipeline._replace(scorer=Breakable(pipeline.scorer, lost))
    engine._serving = engine._serving._replace(pipelines={"home": broken})


def test_scores_that_are_no_numbers_come_never_and_are_counted(bundle):
    metrics = Metrics()
    engine = engine_with(bundle, STOCK)
    engine._metrics = metrics
    best = ids_of(one(engine, view(0)).items)[0]
    with_scores_lost(engine, lambda view, rows: rows == view.table.row_of[best])
    slate = one(engine, view(0))
    assert best not in ids_of(slate.items)
    assert slate.degraded is None
    assert metrics.registry.get_sample_value("daogou_scores_non_finite_total") == 1


def test_a_shopper_whom_the_model_gives_no_number_gets_the_plain_slate_and_the_others_theirs(bundle):
    engine, lost = engine_with(bundle, STOCK), engine_with(bundle, STOCK)
    with_scores_lost(lost, lambda view, rows: rows >= -1)
    with_scores_lost(engine, lambda view, rows: [[ask.profile.user_id == "bad"] * rows.shape[1] for ask in view.asks])
    asks = [ask(profile_after([view(0, user)], user), user) for user in ("good", "bad")]
    good, bad = engine.recommend(asks)
    assert (good.degraded, bad.degraded) == (None, MODEL_FAILED)
    assert ids_of(bad.items) == ids_of(lost.recommend(asks)[1].items)


def test_a_model_that_fails_degrades_the_slate(bundle):
    metrics = Metrics()
    engine = engine_with(bundle, STOCK)
    engine._metrics = metrics
    engine.table.forget_vectors(3, 3)  # the ranker cannot read vectors of this length
    slate = one(engine, view(0))
    assert (slate.degraded, len(slate.items)) == (MODEL_FAILED, 10)
    assert metrics.registry.get_sample_value("daogou_slates_degraded_total", {"cause": MODEL_FAILED}) == 1


def test_the_caller_can_say_why_it_could_not_ask_better(engine):
    [slate] = engine.recommend([ask(profile_after([]))], degraded="profile unknown")
    assert slate.degraded == "profile unknown"
    assert slate.items


def test_another_bundle_is_swapped_in_between_batches(bundle, tmp_path: Path):
    engine = engine_with(bundle, STOCK)
    other = tiny_bundle(tmp_path / "other", seed=1, text_dim=24)
    old = engine.embed(STOCK[:1])[0]
    serving = engine.prepare(other)
    assert one(engine, view(0)).bundle == bundle.digest
    engine.swap(serving)
    assert one(engine, view(0)).bundle == other.digest
    assert len(one(engine, view(0)).items) == 10
    assert len(list(engine.waiting())) == len(STOCK)
    assert not engine.set_embedding(old)
    assert all(engine.set_embedding(e) for e in engine.embed(list(engine.waiting())))
    assert not list(engine.waiting())
    fresh = engine_with(other, STOCK)
    assert one(engine, view(0)).items == one(fresh, view(0)).items


def test_a_swap_brings_the_vectors_that_were_made_before(bundle, tmp_path: Path):
    other = tiny_bundle(tmp_path / "other", seed=1, text_dim=24)
    made = engine_with(other, STOCK).embed(STOCK)
    engine = engine_with(bundle, STOCK)
    engine.swap(engine.prepare(other), made)
    assert not list(engine.waiting())


def test_id_deltas_stand_behind_the_text(tmp_path: Path):
    engine = engine_with(tiny_bundle(tmp_path / "deltas", deltas={"i3": 0.5}), STOCK)
    assert engine.table.vectors.shape == (60, 20)
    assert engine.table.vectors[3, 16:].tolist() == [0.5] * 4
    assert not engine.table.vectors[4, 16:].any()
