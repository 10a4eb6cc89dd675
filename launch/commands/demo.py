"""``daogou demo``: everything at once, against the simulated shop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from launch.demo.plan import Plan

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long the shoppers shop.")] = 60.0,
    shoppers: Annotated[int, typer.Option(min=5, help="How many there are; a fifth of them sees bestsellers.")] = 200,
    rate: Annotated[float, typer.Option(min=0.1, help="Events a second, of all of them.")] = 50.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Other shoppers for another seed.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the report there, as JSON.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the cluster's data there; default: a temporary one.")
    ] = None,
    shop: Annotated[
        bool | None, typer.Option(help="Open the shop page afterwards, until Ctrl-C; default: in a terminal.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the shop page.")] = 8080,
) -> None:
    """Run the whole of daogou against a simulated shop, live in this terminal.

    The real Apache Kafka and the real Valkey are started on this machine, then workers; a thousand products go into
    the catalogue; shoppers with hidden, drifting tastes search, look, click and buy through Kafka, and react to the
    slates that come back. A fifth of them sees the shop's bestsellers instead. At the end: how fresh the slates
    were, how many clicks they earned against bestsellers and against the best lists that the true tastes would
    allow, and whether anything was lost. Then the shop page opens for your own browser. Nothing is left running.

        daogou demo --seconds 30 --rate 100 --workers 2 --report demo.json
    """
    import sys

    from launch.demo.plan import Plan

    stay = sys.stdout.isatty() if shop is None else shop
    plan = Plan(
        seconds=seconds, shoppers=shoppers, rate=rate, workers=workers, seed=seed, folder=folder,
        port=port if stay else None,
    )  # fmt: skip
    raise typer.Exit(0 if _run(plan, report) else 1)


def _run(plan: "Plan", path: Path | None) -> bool:
    """Run it, show and write the report. Returns whether nothing was lost."""
    import signal

    from launch.demo.report import Report, print_report
    from launch.demo.run import run_demo, write_report
    from launch.demo.screen import Screen

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever asks it to end, it cleans up
    screen = Screen()

    def show(found: Report) -> None:
        print_report(found, screen.console)
        if path is not None:
            write_report(found, path)

    found = run_demo(plan, screen, show)
    return found.verify_clean and not found.lost and not found.unaccounted
