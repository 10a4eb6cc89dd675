"""A split's results as tables of at most 100 columns: how accurate, at other lengths of list, what else a list is."""

from pathlib import Path

import typer
from msgspec import json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.compare import AgainstAll, Comparison, Result
from evaluation.metrics import CUTOFFS, best_of
from evaluation.replay_table import ReplayTable

K = 10
OTHERS = tuple(k for k in CUTOFFS if k != K)
ONE_RELEVANT = "one item is relevant, so HR@k is recall@k"


def print_tables(found: Comparison) -> None:
    """To stdout."""
    console = Console()
    for table in (_accuracy(found), _by_length(found), _beyond(found)):
        console.print(table)
    counted = f", {found.cold_items:,} of them cold" if found.cold_items is not None else ""
    typer.echo(f"{found.data}: {found.shoppers:,} shoppers, {found.items:,} items{counted}")
    if found.met_before:
        typer.echo(f"{found.met_before:,} shoppers' last item is one that they met before: no row may show it")
    if found.against_all is not None:
        typer.echo(_lost(found.against_all))


def write_json(out: Path, found: Comparison | ReplayTable) -> None:
    """As ``evaluation.json`` in a folder, which is made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_bytes(json.format(json.encode(found), indent=2))


def caption(words: str, warnings: tuple[str, ...]) -> Text:
    """What is said below a table; warnings stand out."""
    return Text("\n").join([Text(words), *(Text(warning, "bold red") for warning in warnings)])


def _accuracy(found: Comparison) -> Table:
    cold = () if found.cold_items is None else ("among cold",)
    names = ("model", f"HR@{K}", f"NDCG@{K}", f"MRR@{K}", *cold, f"gain in NDCG@{K}")
    table = Table(*names, title=found.protocol, caption=caption(ONE_RELEVANT, found.warnings))
    for result in found.results:
        table.add_row(result.model, *_accurate(result))
    return table


def _accurate(result: Result) -> tuple[str, ...]:
    q, cold = best_of(result.qualities, K), result.recall_10_among_cold
    among = () if cold is None else (f"{cold:.4f}",)
    gain = "" if result.gain is None else str(result.gain).replace(" [", "\n[")
    return (f"{q.hit_rate:.4f}", f"{q.ndcg:.4f}", f"{q.mrr:.4f}", *among, gain)


def _by_length(found: Comparison) -> Table:
    """NDCG@1 is HR@1."""
    table = Table("model", *(f"HR@{k}" for k in OTHERS), *(f"NDCG@{k}" for k in OTHERS if k > 1))
    for result in found.results:
        at = [best_of(result.qualities, k) for k in OTHERS]
        table.add_row(result.model, *(f"{q.hit_rate:.4f}" for q in at), *(f"{q.ndcg:.4f}" for q in at if q.k > 1))
    return table


def _beyond(found: Comparison) -> Table:
    """Popularity bias is of the items shown: 1 is the mean item's popularity."""
    names = ("coverage", "Gini", "diversity", "novelty", "popularity\nbias", "seconds")
    table = Table("model", *names, title=f"lists of {K}")
    for result in found.results:
        q = best_of(result.qualities, K)
        diversity = "-" if q.diversity is None else f"{q.diversity:.3f}"
        figures = (f"{q.coverage:.4f}", f"{q.gini:.3f}", diversity, f"{q.novelty:.2f}", f"{q.popularity:.2f}")
        table.add_row(result.model, *figures, f"{result.seconds:.1f}")
    return table


def _lost(found: AgainstAll) -> str:
    return (
        f"{found.shoppers:,} shoppers drawn: as served HR@10 {found.served_hit_rate_10:.4f}, NDCG@10 "
        f"{found.served_ndcg_10:.4f}; all items scored HR@10 {found.whole_hit_rate_10:.4f}, NDCG@10 "
        f"{found.whole_ndcg_10:.4f}; lost by candidates {found.lost_ndcg_10}"
    )
