"""Surfaces: the file's errors, the shipped ones as they always were, and every setting of a stage has its effect."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_bundle import tiny_bundle
from tiny_shop import DAY_MS, NOW_MS, ask, engine_with, ids_of, item, profile_after, teach, thing_of, view

from contracts.bundle import Bundle
from contracts.errors import Missing, SettingsRefused
from contracts.events import CartAdd, Hide, Line, Purchase
from contracts.settings import EngineSettings, ModelSettings
from contracts.surface_file import SHIPPED, load_surfaces, read_surfaces
from contracts.surfaces import FILTERS, SCORERS, SELECTORS, SOURCES
from inference.engine import Engine
from inference.filters.met import Met
from inference.filters.unavailable import Unavailable
from inference.filters.variants import Variants
from inference.filters.wanted import Wanted
from inference.merge import merge
from inference.page import on_the_page
from inference.pipeline import Pipeline, Turns
from inference.prerank import Prerank
from inference.scorers.fallback import BLEND, Fallback
from inference.selectors.diverse import Diverse
from inference.selectors.newcomer import Newcomer
from inference.sources.buy_again import BuyAgain
from inference.sources.category import Category
from inference.sources.follows import Follows
from inference.sources.new_arrivals import NewArrivals
from inference.sources.similar import Similar
from inference.sources.trending import Trending
from inference.sources.words import Words
from inference.stages import CHANGING, DRAWING, build
from inference.stages import FILTERS as FILTERS_MADE
from inference.stages import SOURCES as SOURCES_MADE
from launch.cli import run

STOCK = [item(n) for n in range(60)]
BOUGHT = Purchase(event_id="b", user_id="u", time_ms=NOW_MS - 20 * DAY_MS, lines=(Line(item_id="i4"),))
PAST = [
    BOUGHT,
    CartAdd(event_id="a", user_id="u", time_ms=NOW_MS - 90_000, item_id="i2"),
    Hide(event_id="h", user_id="u", time_ms=NOW_MS - 80_000, item_id="i50"),
    *(view(n, age_ms=70_000 - n) for n in (6, 12, 18)),
]
PLAIN = """
[home]
sources = ["goes-together", "words", "similar", "category", "trending"]
filters = ["unavailable", "wanted"]
selectors = ["diverse"]
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "surfaces.toml"


def engine_of(file: Path, text: str, bundle: Bundle | None = None, **settings: object) -> Engine:
    """An engine with ``PLAIN`` and the surfaces of ``text``."""
    file.write_text(PLAIN + text)
    engine = Engine(bundle, EngineSettings(**settings), ModelSettings(), surfaces=load_surfaces(file))
    for each in STOCK:
        engine.upsert(each)
    teach(engine, [["i0", "i3"], ["i6", "i9"], ["i18", "i1", "i20"]] * 5)
    return engine


def slate_of(engine: Engine, surface: str = "home", past: object = PAST, limit: int | None = None):
    [slate] = engine.recommend([ask(profile_after(past), limit=limit)._replace(surface=surface)])
    return slate


def shown(engine: Engine, surface: str, past: object = PAST, limit: int | None = 60) -> list[str]:
    return ids_of(slate_of(engine, surface, past, limit).items)


def one(stages: str, like: str = "home") -> str:
    return f'\n[other]\nlike = "{like}"\n{stages}\n'


# What is wrong with a file


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[home", "it is not TOML"),
        ("", "there is no surface 'home'"),
        ("x = 1" + PLAIN, "surface x: there is a value; every surface is a table, [x]"),
        (PLAIN + "[Sale]", "surface Sale: a name has small letters, digits, - and _"),
        (PLAIN + one('sorces = ["words"]'), "surface other: there is no key 'sorces'; did you mean 'sources'?"),
        (PLAIN + one("", like="hom"), "like = 'hom' names no surface above this one; did you mean 'home'?"),
        (PLAIN + one('sources = ["wrds"]'), "sources[0]: there is no stage 'wrds'; did you mean 'words'?"),
        (PLAIN + one('sources = [{ name = "words", limt = 3 }]'), "words: there is no setting 'limt'; did you mean"),
        (PLAIN + one('sources = [{ name = "words", share = -1 }]'), "words: share: Expected `float` > 0.0"),
        (PLAIN + one('sources = [{ name = "words", share = nan }]'), "words: share: Expected `float` > 0.0"),
        (PLAIN + one('sources = [{ name = "words", limit = 0 }]'), "sources[0], words: limit: Expected `int` >= 1"),
        (PLAIN + one('sources = [{ name = ["words"] }]'), "sources[0]: there is no stage ['words']"),
        (PLAIN + one('sources = ["words", "words"]'), "sources: words stands there more than once"),
        (PLAIN + one("sources = []"), "sources must be a list of at least one; there are goes-together"),
        (PLAIN + one('filters = ["met"]'), "filters: 'unavailable' must be one of them"),
        (PLAIN + one('filters = ["unavailable", "met"]'), "filters: 'wanted' must be one of them"),
        (PLAIN + one('filters = [{ name = "met", bought_days = "x" }]'), "filters[0], met: bought_days: Expected"),
        (PLAIN + one('scorer = "modl"'), "scorer: there is no stage 'modl'; did you mean 'model'?"),
        (PLAIN + one('scorer = { name = "blend", click_value = 1 }'), "blend takes none"),
        (PLAIN + one('selectors = ["newcomer"]'), "selectors: the first one draws the slate (diverse)"),
        (PLAIN + one('selectors = [{ name = "diverse", brand_penalty = 2 }]'), "brand_penalty: Expected `float` <"),
        (PLAIN + one("limit = 0"), "surface other: limit: Expected `int` >= 1"),
        (PLAIN + one('page = "basket"'), "page: Invalid enum value 'basket'; there are any, item, cart"),
        (PLAIN + 'page = "item"', "surface home: page = 'item': the stream's slates are made without a page"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_the_place_and_the_way_out(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    found, problems = read_surfaces(file)
    assert found is None
    assert any(problem in line for line in problems), problems
    with pytest.raises(SettingsRefused, match="DAOGOU_SURFACES"):
        load_surfaces(file)


def test_every_problem_is_told_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[home]\nsources = ["wrds", "smilar"]\nlimit = 0\n[sale]\npage = 3\n[other]\nlike = "sle"\n')
    assert run(["surfaces", "check", str(file)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) > 6
    assert all(line.startswith(f"{file}: surface ") for line in told)
    with pytest.raises(SettingsRefused, match=r"more \(`daogou surfaces check"):
        load_surfaces(file)


@pytest.mark.parametrize("path", ["nowhere.toml", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SettingsRefused, match="it cannot be read"):
        load_surfaces(tmp_path / path)


def test_more_items_than_are_scored_is_refused_at_start(file: Path) -> None:
    with pytest.raises(SettingsRefused, match="limit = 150 is more than the 100 candidates"):
        engine_of(file, one("limit = 150"))
    engine_of(file, one("limit = 150"), candidates=150)


# What is shipped


def test_every_stage_that_a_file_may_name_is_made() -> None:
    assert set(SOURCES_MADE) == set(SOURCES)
    assert set(FILTERS_MADE) == set(FILTERS)
    assert set(DRAWING) | set(CHANGING) == set(SELECTORS)
    names = [kind.__struct_config__.tag for kind in (*SOURCES, *FILTERS, *SCORERS, *SELECTORS)]
    assert len(names) == len(set(names))
    for pipeline in build(load_surfaces(), EngineSettings()).values():
        assert {turns.source.name for turns in pipeline.sources} | {each.name for each in pipeline.filters} <= set(
            names
        )


def by_hand(settings: EngineSettings) -> Pipeline:
    """The stages of home, product and cart, as they are without any file."""
    sources = (
        Follows(), Words(), Similar(), Category(), BuyAgain(settings.bought_days), NewArrivals(), Trending()
    )  # fmt: skip
    return Pipeline(
        [Turns(source, settings.per_source, 1.0) for source in sources],
        [Unavailable(), Met(settings.seen_window, settings.bought_days), Wanted(), Variants()],
        Prerank.of((), BLEND, settings.candidates), Fallback(), Newcomer(Diverse(settings), settings),
        settings.considered,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"temperature": 0.4},
        {"per_source": 7, "considered": 20, "candidates": 12, "seen_window": 2, "bought_days": 30.0},
        {"category_penalty": 0.6, "brand_penalty": 0.4, "new_hours": 0.0, "slate_size": 6},
    ],
)
@pytest.mark.parametrize("surface", ["home", "product", "cart"])
def test_home_product_and_cart_are_made_by_the_settings_of_the_environment(surface: str, changed: dict) -> None:
    engine, other = engine_with(None, STOCK, **changed), engine_with(None, STOCK, **changed)
    for each in (engine, other):
        teach(each, [["i0", "i3"], ["i6", "i9"], ["i18", "i1", "i20"]] * 5)
    other._plain = dict.fromkeys(other._plain, by_hand(EngineSettings(**changed)))
    assert slate_of(engine, surface).items == slate_of(other, surface).items


def test_surfaces_of_the_same_stages_share_a_forward(bundle: Bundle) -> None:
    engine = engine_with(bundle, STOCK)
    profile = profile_after(PAST)
    asks = [ask(profile, surface)._replace(surface=surface) for surface in ("home", "continue", "product", "cart")]
    slates = engine.recommend(asks)
    assert [slate.surface for slate in slates] == ["home", "continue", "product", "cart"]
    assert [slate.stages[0].slates for slate in slates] == [3, 1, 3, 3]
    assert [slate.items for slate in slates] == [engine.recommend([each])[0].items for each in asks]
    assert len({engine.recommendation_id("e", surface) for surface in engine.surfaces.names}) == 5


def test_an_unknown_surface_is_refused_by_name(bundle: Bundle) -> None:
    with pytest.raises(Missing, match="there is no surface 'hom'; there are home, product, cart, continue, next"):
        slate_of(engine_with(bundle, STOCK), "hom")


def test_next_goes_back_to_what_was_met_but_for_the_item_that_the_shopper_is_on() -> None:
    found = ids_of(slate_of(engine_with(None, STOCK), "next", PAST, limit=60).items)
    assert {"i2", "i4", "i6", "i12"} <= set(found)  # in the cart, bought, looked at
    assert not {"i18", "i50"} & set(found)  # on it; hidden


def test_what_led_to_the_last_item_is_proposed_next() -> None:
    engine = engine_with(None, STOCK)
    teach(engine, [("i33", "i7")] * 9)
    first = slate_of(engine, "next", [view(7)]).items[0]
    assert (first.item_id, first.source) == ("i33", "goes-before")
    assert "Others compare it with" in first.reason


def test_continue_is_what_was_looked_at_and_not_bought() -> None:
    engine = engine_with(None, STOCK)
    past = [*PAST, view(24, age_ms=31 * DAY_MS), view(30, age_ms=50_000), view(4, age_ms=30 * DAY_MS - 60_000)]
    slate = slate_of(engine, "continue", past)
    assert set(ids_of(slate.items)) == {"i6", "i12", "i18", "i30"}  # i2 is in the cart, i4 bought, i24 long ago
    assert {slot.reason for slot in slate.items} == {"You looked at it lately"}
    again = slate_of(engine, "continue", [*past, view(4, age_ms=10)])
    assert "i4" not in ids_of(slate.items)
    assert "i4" not in ids_of(again.items)  # the shop's own days say so: bought 20 days ago, looked at again
    assert not slate_of(engine, "continue", []).items


# Every setting has its effect


def test_a_source_alone_and_its_limit(file: Path) -> None:
    text = one('sources = [{ name = "trending", limit = 4 }]')
    slate = slate_of(engine_of(file, text), "other", limit=60)
    assert {slot.source for slot in slate.items} == {"trending"}
    assert len(slate.items) == 4


def test_a_share_is_how_often_a_turn_comes() -> None:
    first, second = [[1, 2, 3, 4]], [[11, 12, 13, 14]]
    rows = [np.array(each, np.int32) for each in (first, second)]
    assert merge(rows).rows.tolist() == merge(rows, (2.0, 2.0)).rows.tolist() == [[1, 11, 2, 12, 3, 13, 4, 14]]
    twice = merge(rows, (1.0, 2.0))
    assert twice.rows.tolist() == [[11, 1, 12, 13, 2, 14, 3, 4]]
    assert twice.sources.tolist() == [[1, 0, 1, 1, 0, 1, 0, 0]]


def test_shares_change_who_proposes(file: Path) -> None:
    few = {"considered": 10, "candidates": 10}
    even = slate_of(engine_of(file, one('sources = ["trending", "category"]'), **few), "other", limit=10)
    text = one('sources = ["trending", { name = "category", share = 9 }]')
    uneven = slate_of(engine_of(file, text, **few), "other", limit=10)
    count = [sum(slot.source == "category" for slot in slate.items) for slate in (even, uneven)]
    assert count[0] < count[1]


def test_what_was_seen_is_withheld_as_a_surface_says(file: Path) -> None:
    def out(settings: str) -> set[str]:
        text = one(f'filters = ["unavailable", "wanted", {{ name = "met", {settings} }}]')
        return {"i2", "i4", "i6", "i12", "i18", "i50"} - set(shown(engine_of(file, text, considered=400), "other"))

    assert out("seen_window = 0, bought_days = 0, cart = false") == {"i50"}  # what was hidden is always out
    assert out("seen_window = 1, bought_days = 0, cart = false") == {"i18", "i50"}
    assert out("seen_window = 2, bought_days = 0, cart = false") == {"i12", "i18", "i50"}
    assert out("seen_window = 0, bought_days = 30, cart = false") == {"i4", "i50"}
    assert out("seen_window = 0, bought_days = 19, cart = false") == {"i50"}
    assert out("seen_window = 0, bought_days = 0, cart = true") == {"i2", "i50"}


def test_bought_for_so_long_before_it_is_offered_again(file: Path) -> None:
    text = one('sources = [{ name = "buy-again", bought_days = 15 }]') + one(
        'sources = [{ name = "buy-again", bought_days = 25 }]'
    ).replace("other", "late")
    engine = engine_of(file, text)
    assert shown(engine, "other") == ["i4"]
    assert shown(engine, "late") == []


def test_looked_at_within_so_many_days(file: Path) -> None:
    text = one('sources = [{ name = "revisit", days = 2 }]')
    past = [view(3, age_ms=3 * DAY_MS), view(7, age_ms=DAY_MS)]
    assert shown(engine_of(file, text), "other", past) == ["i7"]


def test_variants_may_stand_together_where_a_surface_says_so(file: Path) -> None:
    text = one('filters = ["unavailable", "wanted", "variants"]')
    engine = engine_of(file, text)
    for n in range(60):
        engine.upsert(item(n, group=f"g{n % 6}"))
    assert len(shown(engine, "other")) == 6
    assert len(shown(engine, "home")) > 6


def test_penalties_temperature_and_newcomers_are_a_surfaces_own(file: Path) -> None:
    def things(settings: str) -> list[str]:
        text = one(f'selectors = [{{ name = "diverse", {settings} }}]')
        return [thing_of(each) for each in shown(engine_of(file, text), "other", [view(8)], None)]

    assert len(set(things("category_penalty = 0, brand_penalty = 0"))) < len(set(things("category_penalty = 0.9")))
    drawn = one('selectors = [{ name = "diverse", temperature = 3 }]')
    assert min(slot.propensity for slot in slate_of(engine_of(file, drawn), "other").items) < 1.0
    text = one('selectors = ["diverse", { name = "newcomer", new_hours = 36 }]')
    engine = engine_of(file, text, new_hours=0, category_penalty=0, brand_penalty=0)
    for n in (0, 1):  # all others were added two days ago or before
        engine.upsert(item(n, added_ms=NOW_MS - 9 * DAY_MS))
    engine.upsert(item(70, added_ms=NOW_MS - 30 * 3_600_000, category=("all", "odd"), title="odd", brand="odd"))
    past = [view(20)]
    assert shown(engine, "other", past, None)[-1] == "i70"
    assert "i70" not in shown(engine, "home", past, None)


def test_the_limit_is_a_surfaces_own_and_who_asks_says_another(file: Path) -> None:
    engine = engine_of(file, one("limit = 3"), slate_size=8)
    assert [len(shown(engine, surface, limit=None)) for surface in ("home", "other")] == [8, 3]
    assert len(shown(engine, "other", limit=5)) == 5


def test_the_scorer_and_what_its_heads_are_worth(file: Path, bundle: Bundle) -> None:
    text = one('scorer = "blend"') + one(
        'scorer = { name = "model", click_value = 0, cart_value = 0, purchase_value = 1 }'
    ).replace("other", "bought")
    engine = engine_of(file, text, bundle)
    by_model, by_blend, bought = (slate_of(engine, surface).items for surface in ("home", "other", "bought"))
    assert [slot.probabilities is None for slot in (by_model[0], by_blend[0], bought[0])] == [False, True, False]
    assert bought[0].score == pytest.approx(bought[0].probabilities.purchase, abs=1e-6)
    assert by_model[0].score > by_model[0].probabilities.purchase


@pytest.mark.parametrize("head", ["rating", "return_visit"])
def test_stars_and_return_visits_are_worth_what_a_surface_says(file: Path, bundle: Bundle, head: str) -> None:
    none = "click_value = 0, cart_value = 0, purchase_value = 0"
    engine = engine_of(file, one(f'scorer = {{ name = "model", {none}, {head}_value = 2 }}'), bundle)
    first = slate_of(engine, "other").items[0]
    assert first.score == pytest.approx(2.0 * getattr(first.probabilities, head), abs=1e-6)


def test_retrieval_needs_a_bundle_and_is_empty_without(file: Path, bundle: Bundle) -> None:
    text = one('sources = ["retrieval"]')
    assert shown(engine_of(file, text), "other") == []
    slate = slate_of(engine_of(file, text, bundle), "other")
    assert slate.degraded  # no item has a vector yet
    engine = engine_of(file, text, bundle)
    assert all(engine.set_embedding(each) for each in engine.embed(STOCK))
    assert {slot.source for slot in slate_of(engine, "other").items} == {"retrieval"}


def test_the_page_is_folded_in(file: Path) -> None:
    file.write_text(PLAIN + '[beside]\nlike = "home"\npage = "item"\n[basket]\nlike = "home"\npage = "cart"\n')
    surfaces = {surface.name: surface for surface in load_surfaces(file)}
    profile = profile_after([])
    assert on_the_page(profile, surfaces["home"], ["i1"], NOW_MS) is profile
    assert on_the_page(profile, surfaces["beside"], ["i1"], NOW_MS).history.items == ("i1",)
    assert on_the_page(profile, surfaces["basket"], ["i1", "i2"], NOW_MS).cart == ("i1", "i2")


def test_the_doctor_names_a_wrong_file(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    file.write_text(PLAIN + one('sources = ["wrds"]'))
    monkeypatch.setenv("DAOGOU_SURFACES", str(file))
    assert run(["doctor", "--json"]) == 1
    found = {each["what"]: each for each in msgspec.json.decode(capsys.readouterr().out)}
    assert not found["surfaces"]["ok"]
    assert "did you mean 'words'?" in found["surfaces"]["says"]


# The command


def test_the_command_lists_shows_and_checks(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(["surfaces"]) == 0
    listed = capsys.readouterr().out
    for word in ("home", "continue", "goes-together", "beside a cart", "revisit (days 30)", "met (seen_window 0)"):
        assert word in listed
    assert run(["surfaces", "show"]) == 0
    file.write_text(capsys.readouterr().out)
    assert file.read_text() == SHIPPED.read_text()
    assert run(["surfaces", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: OK, 5 surfaces: home, product, cart, continue, next\n"


@pytest.mark.parametrize("command", ["worker", "serve", "recommend u", "surfaces", "evaluate . --protocol replay"])
def test_a_wrong_file_keeps_every_command_from_starting(
    command: str, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(PLAIN + one('sources = ["wrds"]'))
    monkeypatch.setenv("DAOGOU_SURFACES", str(file))
    assert run(command.split()) == 1
    assert "did you mean 'words'?" in capsys.readouterr().err
