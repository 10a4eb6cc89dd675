"""Two pictures of a replay: recall and MRR of each model by how long knowledge is held back."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.plots import MARKS, axes_of, saved, shade
from evaluation.replay import LIST, MODELS
from evaluation.replay_table import Figures, ReplayTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_replay(found: ReplayTable, folder: Path) -> tuple[Path, ...]:
    """Write the pictures as PNG."""
    return (
        saved(_by_freshness(found, f"recall@{LIST}", lambda at: at.recall), folder / "recall.png"),
        saved(_by_freshness(found, f"MRR@{LIST}", lambda at: at.mrr), folder / "mrr.png"),
    )


def _by_freshness(found: ReplayTable, name: str, figure_of: Callable[[Figures], float]) -> "Figure":
    """Delays stand evenly, in their order: they run from none to days."""
    figure, axes = axes_of(_title(found), height=4.6)
    delays = sorted(found.delays, key=lambda delay: delay.held_seconds)
    for place, model in enumerate(MODELS):
        values = [figure_of(delay.rows[place].figures[-1]) for delay in delays]
        colour = shade(model, place, len(MODELS))
        axes.plot(range(len(delays)), values, marker=MARKS[place], markersize=5, color=colour, label=model)
    axes.set_xticks(range(len(delays)), [f"{delay.held_seconds:g} s" for delay in delays])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("knowledge held back by")
    axes.set_ylabel(name)
    axes.legend(frameon=False, loc="upper right", fontsize=9)
    return figure


def _title(found: ReplayTable) -> str:
    served = f"bundle {found.bundle[:12]}" if found.bundle else "no bundle"
    return (
        f"{found.data}: {found.turns:,} turns of {found.shoppers:,} shoppers, {found.items:,} items\nreplay, {served}"
    )
