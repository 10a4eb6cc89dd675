"""What each group of features and each source of candidates brings, on validation: the one table.

    python -m benchmarks.ablation ../shared/data/amazon_beauty [--bundle FOLDER]
    python -m benchmarks.ablation ../shared/data/retailrocket --protocol time --until 0.6

Writes ``docs/benchmarks/ablation_<set>.json``. Sources are left out of the engine's own lists; features out of the
first lesson of training, taught anew each time. By time the log is replayed and its last tenth judges, and there are
features alone. See ``benchmarks/ablation_sources.py`` and ``ablation_features.py``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.ablation_features import features
from benchmarks.ablation_sources import sources
from benchmarks.report import save
from contracts.bundle import open_bundle
from contracts.protocol import Protocol
from evaluation.metrics import Difference, Ranks, compare, hit_rate, ndcg
from launch.bar import bar

WHOLE = "nothing"


class Row(Struct, frozen=True, kw_only=True):
    """One row: what was left out, how good it is then, and what is lost by it in NDCG@10, by paired bootstrap."""

    part: str
    without: str
    hit_rate_10: float
    ndcg_10: float
    lost: Difference

    @property
    def verdict(self) -> str:
        """Whether the loss is more than chance."""
        if self.without == WHOLE:
            return ""
        return "brings something" if self.lost.low > 0 else "better without" if self.lost.high < 0 else "brings nothing"


class Ablation(Struct, frozen=True, kw_only=True):
    """The table, with what one must know to read it."""

    data: str
    bundle: str | None
    rows: tuple[Row, ...]


def rows_of(part: str, places: Mapping[str, Ranks]) -> tuple[Row, ...]:
    """Every row beside the whole, which is the one without nothing."""
    whole = ndcg(places[WHOLE], 10)
    return tuple(
        Row(part=part, without=name, hit_rate_10=float(hit_rate(ranks, 10).mean()),
            ndcg_10=float(ndcg(ranks, 10).mean()), lost=compare(whole, ndcg(ranks, 10)))
        for name, ranks in places.items()
    )  # fmt: skip


def show(rows: tuple[Row, ...]) -> None:
    """One table a part."""
    for part in dict.fromkeys(row.part for row in rows):
        table = Table("without", "HR@10", "NDCG@10", "lost in NDCG@10", "", title=part)
        for row in (row for row in rows if row.part == part):
            figures = (f"{row.hit_rate_10:.4f}", f"{row.ndcg_10:.4f}", str(row.lost) if row.verdict else "")
            table.add_row(row.without, *figures, row.verdict)
        Console().print(table)


def main(
    folder: Annotated[Path, typer.Argument(help="A folder with events.jsonl.gz and, if there are any, items.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Trained with `train --hold-back 2`: the last two are asked.")
    ] = None,
    protocol: Annotated[Protocol, typer.Option(help="What judges, as for `daogou train`.")] = Protocol.LEAVE_ONE_OUT,
    until: Annotated[float, typer.Option(help="By time: read only this first share of the log.")] = 1.0,
) -> None:
    """Measure, print, write."""
    opened = open_bundle(bundle) if bundle else None
    with bar(stderr=True) as (say, step):
        found = rows_of("features, taught alone", features(folder, opened, say, protocol, until))
        if protocol is Protocol.LEAVE_ONE_OUT:
            found += rows_of("sources of the engine's lists", sources(folder, opened, step))
    show(found)
    result = Ablation(data=folder.name, bundle=opened.digest if opened else None, rows=found)
    print(save(f"ablation_{folder.name}", msgspec.to_builtins(result)))


if __name__ == "__main__":
    typer.run(main)
