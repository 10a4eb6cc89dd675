"""``daogou evaluate``: baselines on a public data set, every item ranked for every shopper."""

from pathlib import Path
from typing import Annotated

import typer

from launch.options import Json

app = typer.Typer(add_completion=False)

PROTOCOLS = ("cold", "time-split", "leave-one-out", "replay")


@app.command()
def evaluate(
    folder: Annotated[
        Path, typer.Argument(help="A folder with events.jsonl.gz and, if there are any, items.jsonl.gz.")
    ],
    seed: Annotated[int, typer.Option(help="Which shoppers choose the constants, and the bootstrap's draws.")] = 0,
    protocol: Annotated[str, typer.Option(help="leave-one-out, cold, time-split, or replay.")] = "leave-one-out",
    freshness: Annotated[str, typer.Option(help="Replay: seconds by which knowledge is held back, by commas.")] = "0",
    bundle: Annotated[
        Path | None, typer.Option(help="What serves; for leave-one-out trained with `train --hold-back 1`.")
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(help="Train a bundle for this alone (preset tiny, small, base), on what its protocol may know."),
    ] = None,
    first: Annotated[float, typer.Option("--from", help="Replay: before this share of the log only learn.")] = 0.6,
    surface: Annotated[str, typer.Option(help="Replay: which list of the shop (`daogou surfaces`).")] = "next",
    last: Annotated[float, typer.Option("--until", help="Replay: stop at this share of the log.")] = 1.0,
    one_in: Annotated[int, typer.Option(help="Replay: ask one shopper in so many; all of them teach.")] = 1,
    whole: Annotated[
        int, typer.Option("--against-all", help="Ask so many shoppers once more, every item scored by the bundle.")
    ] = 0,
    bundle_only: Annotated[
        bool, typer.Option("--bundle-only", help="The bundle's row alone, for another seed of a table that is there.")
    ] = False,
    sasrec: Annotated[bool, typer.Option("--sasrec", help="One more baseline, a transformer: minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="A folder for evaluation.json and pictures; not for replay.")] = None,
    as_json: Json = False,
) -> None:
    """Rank all items for each shopper: popularity, item-kNN, content, the count model and what serves.

    Leave-one-out: the last item is the test, the last but one chooses the constants. All items are ranked, seen ones
    removed, ties against us. The gain is NDCG@10 beside the best row above it, with its 95% interval. The
    last rows are the engine's own lists as a worker makes them with the settings of the environment, without a model
    and, if one is given, with the bundle.

        daogou evaluate amazon_beauty --bundle bundle --sasrec --out report

    Cold: 5% of the items are taken out of all that is learned, and those whose last item is one of them are asked.
    --train trains a bundle that never saw them (minutes); the rows "told what is new" know from the catalogue which
    items were added today, as a shop says. Time split: the first 80% of the time teach, each shopper's first new item
    after it is asked; for sets with times.

        daogou evaluate amazon_beauty --protocol cold --train small --out report

    Replay: the log goes by in time order, and each turn to another item is predicted before it is learned: by daogou
    with the settings of the environment, by the count model learned live, by what is popular.

        daogou evaluate retailrocket --protocol replay --freshness 0,60,3600,86400
    """
    if protocol not in PROTOCOLS:
        raise typer.BadParameter(f"{protocol!r}; there are {', '.join(PROTOCOLS)}", param_hint="--protocol")
    if protocol == "replay":
        from launch.evaluate_replay import Wanted, evaluate_replay

        wanted = Wanted(
            freshness=freshness, bundle=bundle, first=first, last=last, seed=seed, surface=surface, one_in=one_in
        )
        evaluate_replay(folder, wanted, as_json)
        return
    from launch.evaluate_split import Asked, evaluate_split

    if train and (bundle or protocol == "time-split"):
        raise typer.BadParameter("for leave-one-out and cold, and without --bundle", param_hint="--train")
    for said, option in ((whole, "--against-all"), (bundle_only, "--bundle-only")):
        if said and not (bundle or train):
            raise typer.BadParameter("for --bundle or --train", param_hint=option)
    asked = Asked(
        protocol=protocol, bundle=bundle, train=train, bundle_only=bundle_only, sasrec=sasrec, out=out, seed=seed,
        against_all=whole,
    )  # fmt: skip
    evaluate_split(folder, asked, as_json)
