"""``daogou publish``: events from files into the clickstream."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, settings_for

if TYPE_CHECKING:
    from contracts.settings import KafkaSettings
    from launch.publish import Published, Publisher, Speed

app = typer.Typer(add_completion=False)


@app.command()
def publish(
    path: Annotated[Path, typer.Argument(help="Events: JSON lines, gzip or plain, or a folder with events.jsonl.gz.")],
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second; default: full speed.")] = None,
    pace: Annotated[float | None, typer.Option(min=0.001, help="Times the recorded pace.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read no more rows than this.")] = None,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Publish a file of events to the clickstream, keyed by user.

    Rows are those of public data sets (user_id, item_id, event_type, timestamp in seconds, value) or canonical
    events. Bad rows are counted and named; they stop nothing. The same file gives the same event ids.

        daogou publish retailrocket
        daogou publish shop/events.jsonl.gz --pace 1000
    """
    from launch.publish import Speed

    if rate and pace:
        raise typer.BadParameter("--rate or --pace, not both")
    published, stopped = _run(settings_for(broker).kafka, path, Speed(rate, pace), limit, as_json)
    _report(published, stopped, as_json)
    raise typer.Exit(130 if stopped else 0)


def _run(
    settings: "KafkaSettings", path: Path, speed: "Speed", limit: int | None, quiet: bool
) -> tuple["Published", bool]:
    """Publish with a progress bar on stderr. Returns what was done, and whether Ctrl-C ended it."""
    import asyncio

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from launch.publish import Publisher, find_events, lines_of

    total = min(sum(1 for _ in lines_of(find_events(path))), limit or 1 << 62)
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("publish", total=total, rate="")

        def say(done: "Published") -> None:
            rows = done.events + sum(refusal.rows for refusal in done.refused.values())
            bar.update(task, completed=rows, rate=f"{done.rate:,.0f} events/s")

        return asyncio.run(_until_done(Publisher(settings, say), path, speed, limit))


async def _until_done(
    publisher: "Publisher", path: Path, speed: "Speed", limit: int | None
) -> tuple["Published", bool]:
    import asyncio
    import signal

    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        publisher.stop()

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)
    return await publisher.publish(path, speed, limit), stopped.is_set()


def _report(published: "Published", stopped: bool, as_json: bool) -> None:
    import msgspec

    if as_json:
        report = msgspec.to_builtins(published) | {"events_per_second": published.rate, "stopped": stopped}
        typer.echo(msgspec.json.encode(report).decode())
        return
    typer.echo(f"{published.events:,} events in {published.seconds:.1f} s, {published.rate:,.0f} events/s")
    if published.untimed:
        typer.echo(f"{published.untimed:,} had no time; theirs are made up, a day for each place in the history")
    for refusal in published.refused.values():
        typer.echo(
            f"{refusal.rows:,} rows refused, {refusal.reason}: {refusal.message} (first: row {refusal.first_row})"
        )
    if stopped:
        typer.echo("stopped before the end; what was counted is in Kafka")
