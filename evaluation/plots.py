"""Three pictures of a table: how good and how sure, how it grows with the list, what it costs in coverage."""

from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.compare import Comparison, Result
from evaluation.metrics import best_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, THEIRS, INK = "#c2410c", "#64748b", "#1e293b"
MARKS = "osD^vPX*<>"


def draw(found: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write the pictures as PNG; matplotlib is imported here and needs no screen."""
    return (
        saved(_bars(found), folder / "ndcg.png"),
        saved(_over_k(found), folder / "recall.png"),
        saved(_against_coverage(found), folder / "coverage.png"),
    )


def _bars(found: Comparison) -> "Figure":
    """NDCG@10 of each row, with its 95% interval."""
    figure, axes = axes_of(_title(found), height=1.6 + 0.42 * len(found.results))
    for place, result in enumerate(found.results):
        value = result.ndcg_10
        spread = [[value.mean - value.low], [value.high - value.mean]]
        axes.barh(place, value.mean, color=_colour(result), height=0.62)
        axes.errorbar(value.mean, place, xerr=spread, color=INK, capsize=3, linewidth=1.1)
        axes.annotate(f"{value.mean:.4f}", (value.high, place), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(found.results)), [result.model for result in found.results])
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("NDCG@10, with the 95% interval of a bootstrap over shoppers")
    return figure


def _over_k(found: Comparison) -> "Figure":
    """Recall for each length of list."""
    figure, axes = axes_of(_title(found), height=4.6)
    best_last = sorted(found.results, key=lambda result: -result.qualities[-1].hit_rate)
    for place, result in enumerate(best_last):
        ks, recalls = zip(*((quality.k, quality.hit_rate) for quality in result.qualities), strict=True)
        mark = MARKS[place % len(MARKS)]
        axes.plot(
            ks, recalls, marker=mark, markersize=5, color=shade(result.model, place, len(best_last)), label=result.model
        )
    axes.set_xscale("log")
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("length of the list, k")
    axes.set_ylabel("recall@k")
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    return figure


def _against_coverage(found: Comparison) -> "Figure":
    """NDCG@10 against the share of the catalogue that is in somebody's ten."""
    figure, axes = axes_of(_title(found), height=4.6)
    spots = sorted(((best_of(each.qualities, 10), each) for each in found.results), key=lambda spot: -spot[0].ndcg)
    for place, (quality, result) in enumerate(spots):
        colour = shade(result.model, place, len(spots))
        mark = MARKS[place % len(MARKS)]
        axes.scatter(
            quality.coverage, quality.ndcg, s=60, marker=mark, color=colour, zorder=3, label=result.model, clip_on=False
        )
    axes.set_xlim(0.0, 1.02)
    axes.set_ylim(bottom=0.0)
    axes.margins(y=0.1)
    axes.set_xlabel("coverage: share of the catalogue in somebody's first ten")
    axes.set_ylabel("NDCG@10")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    return figure


def _title(found: Comparison) -> str:
    return f"{found.data}: {found.shoppers:,} shoppers, {found.items:,} items\n{found.protocol}"


def axes_of(title: str, height: float) -> "tuple[Figure, Axes]":
    """A figure in our style; matplotlib needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.2, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="#e2e8f0", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _colour(result: Result) -> str:
    return OURS if result.model.startswith("daogou") else THEIRS


def shade(model: str, place: int, of: int) -> "str | tuple[float, float, float, float]":
    """Ours in our colour; the others from dark to light, the best darkest."""
    from matplotlib import colormaps

    if model.startswith("daogou"):
        return OURS
    red, green, blue, alpha = colormaps["viridis"](0.1 + 0.75 * place / max(1, of - 1))
    return red, green, blue, alpha


def saved(figure: "Figure", path: Path) -> Path:
    """Write it as PNG."""
    figure.savefig(path, dpi=140)
    return path
