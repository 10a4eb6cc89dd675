"""The demo's report: one Struct for the file, one table for the terminal."""

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from launch.demo.figures import Arm, Figures, Quantiles
from launch.demo.plan import BESTSELLERS, DAOGOU, Plan


class ArmReport(Struct, frozen=True, kw_only=True):
    """One arm: lists shown and clicks; the others are for a hundred lists.

    ``expected``: by the shoppers' true tastes. ``oracle``: the same on the best possible lists.
    """

    lists_shown: int
    clicks: int
    clicks_per_hundred: float
    expected_per_hundred: float
    oracle_per_hundred: float

    @classmethod
    def of(cls, arm: Arm) -> "ArmReport":
        """Of what was counted."""
        return cls(
            lists_shown=arm.shown,
            clicks=arm.clicks,
            clicks_per_hundred=arm.per_hundred(arm.clicks),
            expected_per_hundred=arm.per_hundred(arm.expected),
            oracle_per_hundred=arm.per_hundred(arm.oracle),
        )


class Report(Struct, frozen=True, kw_only=True):
    """Everything that the demo found.

    ``freshness_ms`` is from an event's time, which is when it was due, to when the shop has the slate in hand.
    ``generator_lag_ms``: how late the shoppers' events were sent. ``lost``: records without effect and last events
    without a slate, by ``daogou verify``. ``unaccounted``: acknowledged events that are not in the log, or not read.
    """

    seconds: float
    shoppers: int
    rate: float
    workers: int
    seed: int
    bundle: str | None
    first_slate_after_s: float
    past_events: int
    events: int
    slates: int
    events_per_second: float
    slates_per_second: float
    freshness_ms: Quantiles
    generator_lag_ms: Quantiles
    arms: dict[str, ArmReport]
    ratio: float
    expected_ratio: float
    sources: dict[str, int]
    degraded: dict[str, int]
    lost: int
    unaccounted: int
    dead_lettered: int
    verify_clean: bool


def make_report(
    plan: Plan, figures: Figures, *, bundle: str | None, first_slate: float, past_events: int,
    lost: int, unaccounted: int, dead_lettered: int, verify_clean: bool,
) -> Report:  # fmt: skip
    """Put it together."""
    return Report(
        seconds=plan.seconds, shoppers=plan.shoppers, rate=plan.rate, workers=plan.workers, seed=plan.seed,
        bundle=bundle, first_slate_after_s=round(first_slate, 1), past_events=past_events,
        events=figures.events, slates=figures.slates,
        events_per_second=round(figures.events / plan.seconds, 1),
        slates_per_second=round(figures.slates / plan.seconds, 1),
        freshness_ms=Quantiles.of(figures.freshness), generator_lag_ms=Quantiles.of(figures.lag),
        arms={name: ArmReport.of(arm) for name, arm in figures.arms.items()},
        ratio=figures.ratio, expected_ratio=figures.expected_ratio,
        sources=dict(figures.sources.most_common()), degraded=dict(figures.degraded),
        lost=lost, unaccounted=unaccounted, dead_lettered=dead_lettered, verify_clean=verify_clean,
    )  # fmt: skip


def print_report(report: Report, console: Console) -> None:
    """The report for people."""
    console.print(_arms(report))
    fresh, late = report.freshness_ms, report.generator_lag_ms
    console.print(
        f"{report.events:,} events, {report.slates:,} slates in {report.seconds:.0f} s\n"
        f"freshness (event time to slate in the shop's hand): p50 {fresh.p50:.0f} ms, p99 {fresh.p99:.0f} ms\n"
        f"the shoppers' events left p50 {late.p50:.1f} ms, p99 {late.p99:.1f} ms after their time\n"
        f"first slate {report.first_slate_after_s:.1f} s after the start\n"
        f"lost {report.lost}, unaccounted {report.unaccounted}, dead letters {report.dead_lettered}, "
        f"verify {'clean' if report.verify_clean else 'NOT CLEAN: daogou verify says more'}",
        soft_wrap=True,
    )
    if report.degraded:
        causes = ", ".join(f"{cause} ({count:,})" for cause, count in report.degraded.items())
        console.print(f"slates not at their best: {causes}")


def _arms(report: Report) -> Table:
    table = Table(title=f"daogou against bestsellers: {report.ratio:.2f} times the clicks", title_justify="left")
    for column in ("home page", "lists shown", "clicks", "per 100", "expected*", "best possible*"):
        table.add_column(column, justify="left" if column == "home page" else "right")
    for name in (DAOGOU, BESTSELLERS):
        arm = report.arms[name]
        figures = arm.clicks_per_hundred, arm.expected_per_hundred, arm.oracle_per_hundred
        table.add_row(name, f"{arm.lists_shown:,}", f"{arm.clicks:,}", *(f"{figure:.1f}" for figure in figures))
    table.caption = f"* by the shoppers' hidden tastes, for 100 lists; expected ratio {report.expected_ratio:.2f}"
    return table
