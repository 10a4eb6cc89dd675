"""An item's way through the stages for one shopper, up to where it ended: why they see it, or do not.

The same stages as ``Pipeline.run``, one after another, with an eye on one row.
"""

from typing import NamedTuple

import numpy as np

from contracts.features import candidate_features
from contracts.items import Floats
from inference.ask import View
from inference.merge import Merged
from inference.pipeline import Pipeline


class Turn(NamedTuple):
    """One stage: whether the item came out of it, and what happened in words."""

    stage: str
    passed: bool
    words: str


def fate(view: View, pipeline: Pipeline, row: int, size: int) -> list[Turn]:
    """The stages that item ``row`` saw on its way into the one shopper's slate. Raises: ModelUnavailable."""
    if row < 0:
        return [Turn("catalogue", False, "there is no such item")]
    proposed = [turns.propose(view) for turns in pipeline.sources]
    by = [each.source.name for each, rows in zip(pipeline.sources, proposed, strict=True) if row in rows[0]]
    left = view.ruling.bring(pipeline.merged(proposed, len(view)), view.statistics)
    if row not in left.rows[0]:
        return [Turn("sources", False, f"none of {len(proposed)} sources proposes it for this shopper")]
    turns = [Turn("sources", True, f"proposed by {', '.join(by) or 'a rule of the shop'}")]
    for each in pipeline.every_filter:
        left = left.keep(each.keep(view, left.rows))
        if row not in left.rows[0]:
            return [*turns, Turn(f"filter {each.name}", False, (each.__doc__ or "").partition("\n")[0])]
    turns.append(Turn("filters", True, f"none of {len(pipeline.every_filter)} filters takes it out"))
    return turns + _ranked(view, pipeline, left, row, size)


def _ranked(view: View, pipeline: Pipeline, left: Merged, row: int, size: int) -> list[Turn]:
    considered = left.first(pipeline.considered)
    if row not in considered.rows[0]:
        return [Turn("considered", False, f"{considered.rows.shape[1]} others come before it in the sources' turns")]
    every = candidate_features(view.table, view.statistics, view.profiles, view.nows_ms, considered.rows)
    kept, features = pipeline.prerank.best(considered, every, len(pipeline.sources), view.ruling.turns)
    if row not in kept.rows[0]:
        return [Turn("prerank", False, f"not among the {kept.rows.shape[1]} best of {considered.rows.shape[1]}")]
    turns = [Turn("prerank", True, f"among the {kept.rows.shape[1]} best of {considered.rows.shape[1]}")]
    scores = pipeline.scorer.score(view, kept.rows, features).values.astype(np.float32)
    return turns + _placed(view, pipeline, kept, scores, row, size)


def _placed(
    view: View, pipeline: Pipeline, kept: Merged, scores: Floats,
    row: int, size: int,
) -> list[Turn]:  # fmt: skip
    values = np.where(np.isfinite(scores) & (kept.rows >= 0), scores, -np.inf)
    column = int(np.flatnonzero(kept.rows[0] == row)[0])
    score, better = float(values[0, column]), int(np.count_nonzero(values[0] > values[0, column]))
    if not np.isfinite(score):
        return [Turn("scorer", False, "the model gave it no number")]
    turns = [Turn("scorer", True, f"scored {score:.4f}, place {better + 1} of {int(np.isfinite(values[0]).sum())}")]
    picks = pipeline.final_selector.select(view, kept.rows, values, size).picks[0][:size].tolist()
    if column not in picks:
        return [*turns, Turn("selector", False, f"{size} others were taken, for their scores and for variety")]
    return [*turns, Turn("selector", True, f"place {picks.index(column) + 1} of the slate")]
