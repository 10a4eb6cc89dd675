"""The demo's parts that need no cluster: when shoppers act, who sees what, what is counted, what is shown."""

import io

import numpy as np
import pytest
from rich.console import Console

from contracts.events import Click, EventId, Impression, ItemId, Line, Purchase, RecommendationId, UserId
from contracts.messages import Slate, SlateItem, Trigger
from launch.demo.figures import Arm, Figures, Quantiles
from launch.demo.plan import BESTSELLERS, DAOGOU, Plan, arm_of, arrivals
from launch.demo.report import Report, make_report, print_report
from launch.demo.run import Stage, set_stage
from launch.demo.screen import Performance, Screen
from launch.shop.history import history
from launch.shop.products import OPENED_MS

NOW_MS = OPENED_MS


@pytest.fixture
def stage() -> Stage:
    return set_stage(Plan(shoppers=40), NOW_MS)


def of_arm(stage: Stage, arm: str) -> UserId:
    return next(shopper.user_id for shopper in stage.crowd if arm_of(shopper.user_id) == arm)


def slate(user: UserId, *items: str) -> Slate:
    slots = tuple(
        SlateItem(item_id=ItemId(item), score=1.0, source="trending", reason="Popular right now", propensity=1.0)
        for item in items
    )
    trigger = Trigger(event_id=EventId("e"), topic="clickstream", partition=0, offset=0, time_ms=NOW_MS)
    return Slate(
        recommendation_id=RecommendationId("r"), user_id=user, surface="home", items=slots, trigger=trigger,
        profile_version=1, bundle=None,
    )  # fmt: skip


def test_the_open_loop_is_drawn_beforehand_and_the_same_for_a_seed() -> None:
    plan = Plan(seconds=100, rate=50, shoppers=20)
    drawn = arrivals(plan)
    assert drawn == arrivals(plan)
    assert len(drawn) == pytest.approx(5000, rel=0.05)
    assert [arrival.due for arrival in drawn] == sorted(arrival.due for arrival in drawn)
    assert {arrival.shopper for arrival in drawn} == set(range(20))
    assert np.diff([a.due for a in drawn]).mean() == pytest.approx(1 / 50, rel=0.05)


def test_a_fifth_of_the_shoppers_sees_bestsellers() -> None:
    arms = [arm_of(UserId(f"shopper-{n}")) for n in range(5000)]
    assert arms.count(BESTSELLERS) == pytest.approx(1000, rel=0.1)
    assert arms == [arm_of(UserId(f"shopper-{n}")) for n in range(5000)]


def test_two_runs_have_no_event_id_in_common() -> None:
    plan = Plan(shoppers=5)
    first, second = (set_stage(plan, now).crowd[0].step(now, lambda _: None) for now in (NOW_MS, NOW_MS + 1))
    assert first.user_id == second.user_id
    assert first.event_id != second.event_id


def test_daogous_shoppers_see_the_slate_that_came_and_nothing_before(stage: Stage) -> None:
    user = of_arm(stage, DAOGOU)
    assert stage.homes.show(user) is None
    stage.homes.slates[user] = slate(user)
    assert stage.homes.show(user) is None
    stage.homes.slates[user] = slate(user, "p0001", "p0002")
    shown = stage.homes.show(user)
    assert shown is not None
    assert (shown.items, shown.recommendation_id) == (("p0001", "p0002"), "r")
    assert 0 < stage.figures.arms[DAOGOU].expected < stage.figures.arms[DAOGOU].oracle


def test_the_others_see_the_bestsellers_of_the_moment_under_a_name_of_their_own(stage: Stage) -> None:
    user = of_arm(stage, BESTSELLERS)
    for event in history(stage.shop, 9, 20, 3):
        stage.bestsellers.learn(event)
    first, second = stage.homes.show(user), stage.homes.show(user)
    assert first is not None
    assert second is not None
    assert first.items == stage.bestsellers.top()
    assert first.recommendation_id != second.recommendation_id


def test_lists_and_clicks_are_counted_for_the_arm_and_only_with_a_receipt(stage: Stage) -> None:
    ours, theirs = of_arm(stage, DAOGOU), of_arm(stage, BESTSELLERS)
    for user, receipt in ((ours, "r"), (ours, "r"), (theirs, "bestsellers-1"), (ours, None)):
        seen = Impression(event_id="e", user_id=user, time_ms=NOW_MS, items=("p0001",), recommendation_id=receipt)
        stage.figures.sent(seen, 0.0)
    for user, receipt in ((ours, "r"), (theirs, None)):
        clicked = Click(event_id="e", user_id=user, time_ms=NOW_MS, item_id="p0001", recommendation_id=receipt)
        stage.figures.sent(clicked, 0.001)
    arms = stage.figures.arms
    assert (arms[DAOGOU].shown, arms[DAOGOU].clicks) == (2, 1)
    assert (arms[BESTSELLERS].shown, arms[BESTSELLERS].clicks) == (1, 0)
    assert stage.figures.events == 6


def test_ratios_have_known_answers() -> None:
    figures = Figures()
    assert figures.ratio == figures.expected_ratio == 0.0
    figures.arms[DAOGOU] = Arm(shown=200, clicks=60, expected=50.0)
    figures.arms[BESTSELLERS] = Arm(shown=50, clicks=5, expected=6.25)
    assert figures.ratio == 3.0
    assert figures.expected_ratio == 2.0


def test_quantiles_in_milliseconds() -> None:
    found = Quantiles.of([0.001 * n for n in range(1, 102)])
    assert (found.count, found.p50, found.p99, found.largest) == (101, 51.0, 100.0, 101.0)
    assert Quantiles.of([]) == Quantiles()


def test_the_story_follows_the_first_who_clicks_on_a_slate(stage: Stage) -> None:
    user = of_arm(stage, DAOGOU)
    stage.homes.slates[user] = slate(user, "p0001")
    item = stage.shop.items[2]
    stage.story.witness(Click(event_id="e1", user_id=user, time_ms=NOW_MS, item_id=item.item_id))
    assert stage.story.hero == ""
    stage.story.witness(
        Click(event_id="e2", user_id=user, time_ms=NOW_MS, item_id=item.item_id, recommendation_id="r", position=0)
    )
    stage.story.witness(Purchase(event_id="e3", user_id=user, time_ms=NOW_MS, lines=(Line(item_id="p0001"),)))
    stage.story.witness(Impression(event_id="e4", user_id=UserId("other"), time_ms=NOW_MS, items=("p0001",)))
    assert stage.story.hero == user
    assert stage.story.deeds == (f"clicked {item.title}", f"bought {stage.shop.items[1].title}")
    assert stage.story.sees == ((stage.shop.items[1].title, "Popular right now"),)


def screen_of(terminal: bool) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, force_terminal=terminal, width=160)), out


def test_a_terminal_gets_a_picture(stage: Stage) -> None:
    user, (screen, out) = of_arm(stage, DAOGOU), screen_of(terminal=True)
    stage.homes.slates[user] = slate(user, "p0001")
    stage.story.witness(
        Click(event_id="e", user_id=user, time_ms=NOW_MS, item_id="p0002", recommendation_id="r", position=0)
    )
    with screen.live(stage.figures, stage.story) as performance:
        performance.refresh()
    assert "freshness p50/p99" in out.getvalue()
    assert user in out.getvalue()
    assert stage.shop.items[1].title in out.getvalue()


def test_a_pipe_gets_plain_lines(stage: Stage) -> None:
    screen, out = screen_of(terminal=False)
    performance = Performance(screen, stage.figures, stage.story, line_seconds=0.0)
    with performance:
        performance.refresh()
    assert "events/s 0.0" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def a_report(figures: Figures, **changes: int) -> Report:
    given = {"lost": 0, "unaccounted": 0, "dead_lettered": 0} | changes
    return make_report(Plan(), figures, bundle=None, first_slate=1.0, past_events=10, verify_clean=True, **given)


def test_the_report_says_what_was_found() -> None:
    figures = Figures()
    figures.arms[DAOGOU] = Arm(shown=200, clicks=60, expected=50.0, oracle=120.0)
    figures.arms[BESTSELLERS] = Arm(shown=50, clicks=5, expected=6.25, oracle=30.0)
    figures.degraded["no model"] = 3
    found = a_report(figures, lost=2)
    assert found.arms[DAOGOU].oracle_per_hundred == 60.0
    screen, out = screen_of(terminal=False)
    print_report(found, screen.console)
    assert "3.00 times the clicks" in out.getvalue()
    assert "lost 2" in out.getvalue()
    assert "no model (3)" in out.getvalue()
