"""``daogou evaluate``: baselines on a public data set, every item ranked for every shopper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Json, print_json

if TYPE_CHECKING:
    from evaluation.compare import Comparison

app = typer.Typer()


@app.command()
def evaluate(
    folder: Annotated[
        Path, typer.Argument(help="A folder with events.jsonl.gz and, if there are any, items.jsonl.gz.")
    ],
    seed: Annotated[int, typer.Option(help="Which shoppers choose the constants, and the bootstrap's draws.")] = 0,
    protocol: Annotated[str, typer.Option(help="leave-one-out, or replay: the log in time order.")] = "leave-one-out",
    freshness: Annotated[str, typer.Option(help="Replay: seconds by which knowledge is held back, by commas.")] = "0",
    bundle: Annotated[
        Path | None, typer.Option(help="What serves; for leave-one-out trained with `train --hold-back 1`.")
    ] = None,
    first: Annotated[float, typer.Option("--from", help="Replay: before this share of the log only learn.")] = 0.6,
    last: Annotated[float, typer.Option("--until", help="Replay: stop at this share of the log.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Rank all items for each shopper's last one, with popularity, item-kNN, the count model and what serves.

    Leave-one-out: the last item is the test, the last but one chooses the constants. All items are ranked, seen ones
    removed, ties against us. The gain is NDCG@10 beside the best row above it, with its 95% interval. The
    last rows are the engine's own lists as a worker makes them, without a model and, if one is given, with the bundle.

        daogou evaluate amazon_beauty --bundle bundle

    Replay: the log goes by in time order, and each turn to another item is predicted before it is learned: by daogou
    with the settings of the environment, by the count model learned live, by what is popular.

        daogou evaluate retailrocket --protocol replay --freshness 0,60,3600,86400
    """
    if protocol == "replay":
        from launch.evaluate_replay import Wanted, evaluate_replay

        wanted = Wanted(freshness=freshness, bundle=bundle, first=first, last=last, seed=seed)
        evaluate_replay(folder, wanted, as_json)
        return
    if protocol != "leave-one-out":
        raise typer.BadParameter(f"{protocol!r}; there are leave-one-out, replay", param_hint="--protocol")
    _leave_one_out(folder, seed, bundle, as_json)


def _leave_one_out(folder: Path, seed: int, bundle: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from contracts.bundle import open_bundle
    from evaluation.compare import leave_one_out_table, served
    from evaluation.sequences import read
    from launch.bar import bar

    console = Console(stderr=True)
    with console.status("reading"):
        log = read(folder)
    bundles = (None, open_bundle(bundle)) if bundle else (None,)
    with bar(stderr=True) as (say, step):
        found = leave_one_out_table(log, say, seed, [served(each, step) for each in bundles])
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    from evaluation.metrics import best_of

    table = Table("model", "HR@10", "NDCG@10", "MRR@10", "coverage", "gain in NDCG@10", "seconds", title=found.protocol)
    for result in found.results:
        q, gain = best_of(result.qualities, 10), result.gain
        figures = (f"{value:.4f}" for value in (q.hit_rate, q.ndcg, q.mrr, q.coverage))
        table.add_row(result.model, *figures, str(gain or ""), f"{result.seconds:.1f}")
    Console().print(table)
    typer.echo(f"{found.data}: {found.shoppers:,} shoppers, {found.items:,} items")
