"""``daogou rebuild``: the store made again from the log."""

from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, RedisUrl, print_json, settings_for

if TYPE_CHECKING:
    from contracts.settings import Settings
    from streams.rebuild import Rebuilt

app = typer.Typer(add_completion=False)


@app.command()
def rebuild(
    broker: Broker = "",
    redis: RedisUrl = "",
    force: Annotated[bool, typer.Option(help="Remove the profiles that are there first.")] = False,
    as_json: Json = False,
) -> None:
    """Make every profile again from the log, after the store was lost or restored too old. Stop the workers first.

    Forgotten shoppers stay forgotten. What goes with what and what trends is learned again where nothing of it is
    left. Events that retention has taken from the log are gone from the profiles too.
    """
    import asyncio

    done = asyncio.run(_rebuilt(settings_for(broker, redis), force, as_json))
    if as_json:
        print_json(done)
        return
    typer.echo(f"{done.shoppers:,} profiles from {done.records:,} records in {done.seconds:.1f} s")
    if done.removed:
        typer.echo(f"{done.removed:,} profiles were removed first")
    if done.unreadable:
        typer.echo(f"{done.unreadable:,} records are no events")
    if done.deleted:
        typer.echo(f"retention has taken {done.deleted:,} records; their effects are not in the profiles")
    typer.echo("statistics: " + ("learned again" if done.statistics else "kept as they are"))


async def _rebuilt(settings: "Settings", force: bool, quiet: bool) -> "Rebuilt":
    from rich.console import Console
    from rich.progress import Progress

    from streams.rebuild import rebuild as rebuilt
    from streams.store import open_statistics, open_store

    store, statistics = open_store(settings), open_statistics(settings)
    try:
        await store.check()
        with Progress(console=Console(stderr=True), disable=quiet, transient=True) as bar:
            task = bar.add_task("folding the log", total=None)
            return await rebuilt(
                settings, store, statistics, force, lambda n, total: bar.update(task, completed=n, total=total)
            )
    finally:
        await store.close()
        await statistics.close()
