"""``daogou train``: a log in, a checkpoint out."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.protocol import Protocol
from launch.options import AnyMemory, Broker, Device, settings_for

app = typer.Typer(add_completion=False)


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
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="The highest. Without: 1e-3.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same checkpoint.")] = 0,
    encoder: Annotated[Path | None, typer.Option(help="A local BERT-family folder, instead of one made here.")] = None,
    hold_back: Annotated[int, typer.Option(min=0, help="Leave out each shopper's last N visits, for `evaluate`.")] = 0,
    until: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Read only this first share of the log, for a replay of the rest.")
    ] = 1.0,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="What judges: the log's last part; or some shoppers' last events (without times, or with --hold-back)."
        ),
    ] = None,
    refit: Annotated[bool, typer.Option(help="Once judged, train anew for as long, with all of the log.")] = True,
    topics: Annotated[
        bool, typer.Option("--topics", help="Read the clickstream and the catalogue from Kafka, as they are now.")
    ] = False,
    broker: Broker = "",
    any_memory: AnyMemory = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
    device: Device = "auto",
) -> None:
    """Train the encoder and the ranker from a shop's own log.

    The log is replayed in time order through the very fold and features that serve, so what is learned is what will
    be computed live. The last tenth judges how long is best; then all of the log teaches anew, for as long. Killed and
    started again it goes on where it was (from OUT.training) and ends with the same checkpoint.

        daogou train events.jsonl.gz items.jsonl.gz --out checkpoint  then  daogou export checkpoint --out bundle

    With --topics the log is the shop's own clickstream, as far as Kafka keeps it; it lies in OUT.log until the
    checkpoint is written, so that a training that was killed goes on with the same log. Meanwhile the events lie in a
    temporary file in TMPDIR, not in memory.
    """
    from launch.training_extra import required

    required()
    from launch.training_run import Asked, run_training

    if topics == (events is not None):
        raise typer.BadParameter("name an events file, or say --topics to read Kafka; one of the two")
    asked = Asked(
        events=events, items=items, out=out, preset=preset, epochs=epochs, seed=seed, encoder=encoder,
        hold_back=hold_back, until=until, protocol=protocol, refit=refit, any_memory=any_memory, threads=threads,
        device=device, learning_rate=learning_rate,
    )  # fmt: skip
    run_training(asked, settings_for(broker) if topics else None)
