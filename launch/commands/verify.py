"""``daogou verify``: is what we know what the log says?"""

from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, RedisUrl, print_json, settings_for

if TYPE_CHECKING:
    from rich.table import Table

    from contracts.settings import Settings
    from streams.verify_report import Report

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    broker: Broker = "",
    redis: RedisUrl = "",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the workers to have read everything.")] = 0,
    as_json: Json = False,
) -> None:
    """Fold the log afresh and compare everything with it; exit 1 if anything differs.

    Every record of the clickstream must be applied, or be a producer's duplicate, or be dead-lettered; every profile
    in the store must be what its shopper's events make, byte for byte; the last slate of each shopper must answer
    their last event; one who was forgotten or withdrew consent must have no slate. Run it while no events come in.

        daogou verify --wait 60
    """
    import asyncio

    report = asyncio.run(_verified(settings_for(broker, redis), wait, as_json))
    if as_json:
        print_json(report)
    else:
        _show(report)
    raise typer.Exit(0 if report.clean else 1)


async def _verified(settings: "Settings", wait: float, quiet: bool) -> "Report":
    from rich.console import Console
    from rich.progress import Progress

    from streams.store import open_store
    from streams.verify import verify as verified
    from streams.verify import wait_until_read

    store = open_store(settings)
    try:
        if wait:
            await wait_until_read(settings, wait)
        with Progress(console=Console(stderr=True), disable=quiet, transient=True) as bar:
            task = bar.add_task("folding the log", total=None)
            return await verified(settings, store, lambda done, total: bar.update(task, completed=done, total=total))
    finally:
        await store.close()


def _show(report: "Report") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("what", "count", "of which")
    for row in _rows(report):
        table.add_row(*row)
    console.print(table)
    if report.shown:
        console.print(_differences(report))
    if report.lag:
        console.print(f"The workers have not read {report.lag:,} records yet; try --wait SECONDS.")
    if report.deleted:
        console.print(f"Retention took {report.deleted:,} records; what they did cannot be checked.")
    verdict = "clean" if report.clean else f"{report.differences:,} differences"
    console.print(f"{verdict}, {report.seconds:.1f} s", style="green" if report.clean else "red", highlight=False)


def _rows(r: "Report") -> list[tuple[str, str, str]]:
    return [
        ("records", f"{r.records:,}", f"{r.applied:,} applied, {r.duplicates:,} duplicates of the producer, "
         f"{r.dead_lettered:,} dead-lettered, {r.lost:,} lost"),
        ("dead letters", f"{r.dead_lettered + r.applied_and_dead_lettered:,}",
         f"{r.applied_and_dead_lettered:,} of readable events, {r.dead_letters_repeated:,} repeated"),
        ("shoppers", f"{r.shoppers:,}", f"{r.profiles_equal:,} profiles equal, {r.profiles_different:,} different, "
         f"{r.profiles_missing:,} missing, {r.profiles_ahead:,} moved on, {r.profiles_strange:,} of nobody"),
        ("slates", f"{r.slates:,}", f"{r.slates_repeated:,} repeated; of {r.slates_owed:,} last slates owed "
         f"{r.slates_lost:,} lost; {r.slates_of_forgotten:,} of forgotten shoppers"),
    ]  # fmt: skip


def _differences(report: "Report") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("difference", "partition", "offset", "shopper", "detail", title=f"the first {len(report.shown)}")
    for d in report.shown:
        offset = "" if d.offset < 0 else str(d.offset)
        table.add_row(d.kind, str(d.partition), offset, Text(d.user), Text(d.detail))  # Text: a user id is no markup
    return table
