"""What a larger ranker brings and what it costs: ``python -m benchmarks.sizes ../shared/data/amazon_beauty``.

Every size is trained on the same examples (made once, leave-one-out, one shopper in ``ONE_IN`` asked) and judged on the
same lists; beside it the milliseconds of one forward of 500 candidates on one thread. Validation alone, so a size is
chosen by it honestly. Writes ``docs/benchmarks/sizes.json`` and ``sizes.svg``.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import matplotlib as mpl
import torch
import typer
from matplotlib.figure import Figure
from msgspec import Struct, to_builtins
from msgspec.structs import replace
from torch import Tensor

from benchmarks.ablation_features import ONE_IN, batches, log_of, vectors
from benchmarks.ranking import CANDIDATES, cost, size_of
from benchmarks.report import RESULTS, save
from contracts.protocol import Protocol
from inference.scorers.fallback import BLEND
from launch.bar import bar
from training.chunks import CHECK, LEARN, Chunks, write_chunks
from training.config import PRESETS
from training.fit import fit
from training.run_folder import RunFolder
from training.telling import Say, Step

#: (dim, layers), from nothing but features to the base preset.
SIZES = ((32, 1), (32, 2), (64, 1), (64, 2), (64, 3), (128, 2), (128, 3))
PRESET = (PRESETS["small"].ranker.dim, PRESETS["small"].ranker.layers)


class Sized(Struct, frozen=True, kw_only=True):
    """One size: figures of the lists of validation, and one forward's time; ``ratio``: beside its bare products."""

    dim: int
    layers: int
    ndcg_10: float
    hit_rate_10: float
    milliseconds: float
    ratio: float


def sized(dim: int, layers: int, examples: Path, text: Tensor, say: Say, step: Step) -> Sized:
    """Train one size from its first lesson on, then time it."""
    plan = replace(PRESETS["small"], ranker=size_of(dim, layers), refit=False)
    learn, check = Chunks.of(examples / LEARN), Chunks.of(examples / CHECK)
    with TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "size", f"{dim} {layers}")
        figures = fit(learn, check, text, plan, folder, BLEND, say, step).metrics
    timed = cost(plan.ranker)
    return Sized(
        dim=dim, layers=layers, ndcg_10=round(figures["validation_ndcg_at_10"], 5),
        hit_rate_10=round(figures["validation_hit_rate_at_10"], 5), milliseconds=timed.milliseconds, ratio=timed.ratio,
    )  # fmt: skip


def draw(data: str, rows: list[Sized], path: Path) -> None:
    """Quality over time, as SVG, the same bytes for the same figures."""
    mpl.rcParams.update({"svg.hashsalt": "daogou", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for layers in sorted({row.layers for row in rows}):
        some = [row for row in rows if row.layers == layers]
        axes.plot([row.milliseconds for row in some], [row.ndcg_10 for row in some], "o-", label=f"{layers} layers")
    for row in rows:
        chosen = "  (small)" if (row.dim, row.layers) == PRESET else ""
        at = (row.milliseconds, row.ndcg_10)
        axes.annotate(f"{row.dim}{chosen}", at, xytext=(4, 4), textcoords="offset points")
    axes.set(xlabel=f"ms for {CANDIDATES} candidates, 1 thread", ylabel="NDCG@10 of validation's lists",
             title=f"{data}: size of the ranker, columns beside the points")  # fmt: skip
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main(
    folder: Annotated[Path, typer.Argument(help="A folder with events.jsonl.gz and, if any, items.jsonl.gz.")],
) -> None:
    """Train, measure, print, write."""
    torch.set_num_threads(1)
    plan = replace(PRESETS["small"], protocol=Protocol.LEAVE_ONE_OUT)
    log = log_of(folder, hold_back=1)
    rows: list[Sized] = []
    with TemporaryDirectory() as scratch, bar(stderr=True) as (say, step):
        text = vectors(log, None, plan, say)
        write_chunks(batches(log, text, plan), Path(scratch), lambda _: None)
        for dim, layers in SIZES:
            rows.append(sized(dim, layers, Path(scratch), torch.from_numpy(text), say, step))
            print(rows[-1], flush=True)
    result: dict[str, Any] = {"data": folder.name, "one_in": ONE_IN, "sizes": to_builtins(rows)}
    print(save("sizes", result))
    draw(folder.name, rows, RESULTS / "sizes.svg")


if __name__ == "__main__":
    typer.run(main)
