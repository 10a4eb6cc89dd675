"""``daogou train``: a log in, a checkpoint out."""

from pathlib import Path
from shutil import rmtree
from typing import Annotated

import typer

from contracts.protocol import Protocol
from launch.options import Broker, settings_for

app = typer.Typer()


def _from_topics(folder: Path, broker: str) -> tuple[Path, Path]:
    """The two files of a snapshot; one that an earlier try left is taken as it is."""
    import asyncio

    from launch.bar import bar
    from launch.log_snapshot import EVENTS, ITEMS, save_log

    if folder.is_dir():
        typer.echo(f"goes on with the log in {folder}")
        return folder / EVENTS, folder / ITEMS
    with bar() as (say, step):
        found = asyncio.run(save_log(settings_for(broker), folder, lambda n: step(f"{n:,} records read", n, 0)))
        say(f"read from Kafka: {found.events:,} events, {found.items:,} items, {found.refused:,} records refused")
    return folder / EVENTS, folder / ITEMS


@app.command()
def train(
    events: Annotated[
        Path | None,
        typer.Argument(help="Events: JSONL or gzip JSONL, a data set's rows or canonical events. Without: --topics."),
    ] = None,
    items: Annotated[Path | None, typer.Argument(help="Items: JSONL or gzip JSONL. Without: ids only.")] = None,
    out: Annotated[Path, typer.Option(help="The checkpoint's folder.")] = Path("checkpoint"),
    preset: Annotated[str, typer.Option(help="tiny (tests), small (the demo's), base.")] = "small",
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs of the ranker; it stops by itself.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same checkpoint.")] = 0,
    encoder: Annotated[Path | None, typer.Option(help="A local BERT-family folder, instead of one made here.")] = None,
    hold_back: Annotated[int, typer.Option(min=0, help="Leave out each shopper's last N events, for `evaluate`.")] = 0,
    until: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Read only this first share of the log, for a replay of the rest.")
    ] = 1.0,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="What judges: the log's last part; or some shoppers' last events (without times, or with --hold-back)."
        ),
    ] = None,
    topics: Annotated[
        bool, typer.Option("--topics", help="Read the clickstream and the catalogue from Kafka, as they are now.")
    ] = False,
    broker: Broker = "",
    any_memory: Annotated[bool, typer.Option("--any-memory", help="Begin though memory may not be enough.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
) -> None:
    """Train the encoder and the ranker from a shop's own log.

    The log is replayed in time order through the very fold and features that serve, so what is learned is what will
    be computed live. The last tenth is validation; the best epoch is kept. Killed and started again it goes on where
    it was (from OUT.training) and ends with the same checkpoint.

        daogou train events.jsonl.gz items.jsonl.gz --out checkpoint  then  daogou export checkpoint --out bundle

    With --topics the log is the shop's own clickstream, as far as Kafka keeps it; it lies in OUT.log until the
    checkpoint is written, so that a training that was killed goes on with the same log.
    """
    from launch.training_extra import required

    required()
    from msgspec.structs import replace

    from inference.scorers.fallback import BLEND
    from launch.bar import bar
    from training.config import PRESETS
    from training.encoder import quiet
    from training.log import read_log
    from training.memory import available_memory, check_memory, needs
    from training.train import train as run

    if preset not in PRESETS:
        raise typer.BadParameter(f"{preset!r}; there are {', '.join(PRESETS)}", param_hint="--preset")
    quiet()
    if topics == (events is not None):
        raise typer.BadParameter("name an events file, or say --topics to read Kafka; one of the two")
    saved = out.with_name(f"{out.name}.log") if topics else None
    if saved is not None:
        events, items = _from_topics(saved, broker)
    log = read_log(events, items, hold_back, until)  # type: ignore[arg-type]
    plan = replace(
        PRESETS[preset], seed=seed, threads=threads, epochs=epochs or PRESETS[preset].epochs,
        protocol=protocol or (Protocol.LEAVE_ONE_OUT if hold_back else log.protocol),
    )  # fmt: skip
    for reason, count in log.refused.items():
        typer.echo(f"refused {count:,} rows: {reason}")
    if not any_memory:
        check_memory(needs(log, plan, plan.encoder.dim), available_memory())
    with bar() as (say, step):
        checkpoint = run(log, out, plan, say, encoder, BLEND, step)
    if saved is not None:
        rmtree(saved)
    figures = ", ".join(f"{figure.name} {figure.value:g}" for figure in checkpoint.facts.metrics)
    typer.echo(f"{out}: {figures}")
