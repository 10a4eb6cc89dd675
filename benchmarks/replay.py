"""daogou on a real clickstream, replayed: recall and MRR of the next item at several delays.

The same as `daogou evaluate FOLDER --protocol replay --freshness 0,60,3600,86400`, kept in docs/benchmarks.

    python -m benchmarks.replay ../shared/data/retailrocket [--bundle FOLDER] [--name replay_retailrocket]
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from benchmarks.report import save
from launch.evaluate_replay import Wanted, replayed


def main(
    folder: Path,
    freshness: str = "0,60,3600,86400",
    bundle: Path | None = None,
    one_in: Annotated[int, typer.Option(help="Ask one shopper in so many; all of them teach.")] = 1,
    name: Annotated[str, typer.Option(help="The file in docs/benchmarks.")] = "",
) -> None:
    """Replay, and write the result."""
    found = replayed(folder, Wanted(freshness=freshness, bundle=bundle, one_in=one_in))
    for delay in found.delays:
        for row in delay.rows:
            figures = " ".join(f"recall@{f.k} {f.recall:.4f} MRR@{f.k} {f.mrr:.4f}" for f in row.figures)
            print(f"{delay.held_seconds:>8g} s  {row.model:<12} {figures}")
    print(save(name or f"replay_{folder.name}", msgspec.to_builtins(found)))


if __name__ == "__main__":
    typer.run(main)
