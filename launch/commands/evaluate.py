"""``daogou evaluate``: baselines on a public data set, every item ranked for every shopper."""

from pathlib import Path
from typing import Annotated

import typer

from launch.evaluate_options import REPLAY, check_bundle, check_options, check_preset
from launch.options import AnyMemory, Json

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="A folder with events.jsonl.gz and, if there are any, items.jsonl.gz.")
    ],
    seed: Annotated[
        int, typer.Option(min=0, help="Which shoppers choose the constants, and the bootstrap's draws.")
    ] = 0,
    protocol: Annotated[str, typer.Option(help="leave-one-out, cold, time-split, or replay.")] = "leave-one-out",
    freshness: Annotated[str, typer.Option(help="Replay: seconds by which knowledge is held back, by commas.")] = "0",
    bundle: Annotated[
        Path | None, typer.Option(help="What serves; for leave-one-out trained with `train --hold-back 1`.")
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(help="Train a bundle for this alone (preset tiny, small, base), on what its protocol may know."),
    ] = None,
    any_memory: AnyMemory = False,
    first: Annotated[
        float, typer.Option("--from", min=0.0, max=1.0, help="Replay: before this share of the log only learn.")
    ] = 0.6,
    surface: Annotated[str, typer.Option(help="Replay: which list of the shop (`daogou surfaces`).")] = "next",
    last: Annotated[
        float, typer.Option("--until", min=0.0, max=1.0, help="Replay: stop at this share of the log.")
    ] = 1.0,
    one_in: Annotated[int, typer.Option(min=1, help="Replay: ask one shopper in so many; all of them teach.")] = 1,
    whole: Annotated[
        int,
        typer.Option("--against-all", min=0, help="Ask so many shoppers once more, every item scored by the bundle."),
    ] = 0,
    bundle_only: Annotated[
        bool, typer.Option("--bundle-only", help="The bundle's row alone, for another seed of a table that is there.")
    ] = False,
    sasrec: Annotated[bool, typer.Option("--sasrec", help="One more baseline, a transformer: minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="A folder for evaluation.json and pictures.")] = None,
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
    with the settings of the environment, by the count model learned live, by what is popular. --train trains on what
    comes before --from.

        daogou evaluate retailrocket --protocol replay --freshness 0,60,3600,86400
    """
    check_options(context, protocol)
    check_preset(train)
    check_bundle(bundle, train, whole, bundle_only)
    if protocol == REPLAY:
        from launch.evaluate_replay import Wanted, evaluate_replay

        wanted = Wanted(
            freshness=freshness, bundle=bundle, first=first, last=last, seed=seed, surface=surface, one_in=one_in,
            train=train, any_memory=any_memory, out=out,
        )  # fmt: skip
        evaluate_replay(folder, wanted, as_json)
        return
    from launch.evaluate_split import Asked, evaluate_split

    asked = Asked(
        protocol=protocol, bundle=bundle, train=train, bundle_only=bundle_only, sasrec=sasrec, out=out, seed=seed,
        against_all=whole, any_memory=any_memory,
    )  # fmt: skip
    evaluate_split(folder, asked, as_json)
