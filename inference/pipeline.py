"""The order of the stages, on one screen: sources -> merge -> filters -> features -> prerank -> scorer -> selector ->
reasons.

The shop's rules are in three of them, whatever else there is: pins bring candidates in, the first filter hides, the
last selector weighs and pins.

``inference/stages.py`` makes one of each surface of ``contracts/surfaces.toml``; to add a stage, see there.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple, TypeVar

import numpy as np

from contracts.features import candidate_features
from contracts.items import NO_ROW, Bools, Rows
from contracts.messages import StageTiming
from inference.ask import View
from inference.filters import Filter
from inference.filters.hidden import Hidden
from inference.merge import Merged, merge
from inference.prerank import Prerank
from inference.scorers import Scorer, Scores
from inference.selectors import Selection, Selector
from inference.selectors.ruled import Ruled
from inference.sources import Source

T = TypeVar("T")


class Ranked(NamedTuple):
    """What the stages made of a batch; arrays are [B, ...]. ``reasons`` [B][K] stand beside ``selection.picks``.

    ``failed`` [B]: there were candidates, and the scorer gave none of them a number.
    """

    merged: Merged
    scores: Scores
    selection: Selection
    reasons: list[list[str]]
    failed: Bools
    non_finite: int
    timings: tuple[StageTiming, ...]


class Turns(NamedTuple):
    """A source, how many candidates it may propose, and how often its turn comes beside the others'."""

    source: Source
    limit: int
    share: float

    def propose(self, view: View) -> Rows:
        """See ``Source``."""
        return self.source.propose(view, self.limit)


class Pipeline(NamedTuple):
    """The stages of a slate; at most ``considered`` candidates go beyond the filters.

    The shop's rules hold on every one: they hide before the filters and order around the selector.
    """

    sources: Sequence[Turns]
    filters: Sequence[Filter]
    prerank: Prerank
    scorer: Scorer
    selector: Selector
    considered: int

    def run(self, view: View, size: int) -> Ranked:
        """All stages, once for the batch. Raises: ModelUnavailable."""
        clock = Stopwatch(len(view))
        proposed = clock.timed("sources", lambda: [turns.propose(view) for turns in self.sources])
        merged = clock.timed("merge", lambda: view.ruling.bring(self.merged(proposed, len(view)), view.statistics))
        left = clock.timed("filters", lambda: self._filtered(view, merged))
        every = clock.timed("features", lambda: candidate_features(
            view.table, view.statistics, view.profiles, view.nows_ms, left.rows))  # fmt: skip
        kept, features = clock.timed("prerank", lambda: self.prerank.best(
            left, every, len(self.sources), view.ruling.turns))  # fmt: skip
        scores = clock.timed("scorer", lambda: self.scorer.score(view, kept.rows, features))
        finite, there = np.isfinite(scores.values), np.asarray(kept.rows >= 0)
        values = np.where(finite & there, scores.values, -np.inf)
        selection = clock.timed("selector", lambda: self.final_selector.select(view, kept.rows, values, size))
        reasons = clock.timed("reasons", lambda: self._reasons(view, kept, selection))
        failed = np.asarray(there.any(axis=1) & ~(finite & there).any(axis=1))
        non_finite = int(np.count_nonzero(there & ~finite))
        return Ranked(kept, scores, selection, reasons, failed, non_finite, tuple(clock.timings))

    @property
    def every_filter(self) -> tuple[Filter, ...]:
        """What takes candidates out, the merchandiser's rules first."""
        return (Hidden(), *self.filters)

    @property
    def final_selector(self) -> Selector:
        """What makes the slate: the selector under the merchandiser's rules."""
        return Ruled(self.selector)

    def merged(self, proposed: list[Rows], shoppers: int) -> Merged:
        """What the sources proposed to so many shoppers, as one list each, by turns."""
        nothing = np.full((shoppers, 0), NO_ROW, np.int32)  # a surface whose only source needs a bundle
        return merge(proposed or [nothing], [turns.share for turns in self.sources])

    def _filtered(self, view: View, merged: Merged) -> Merged:
        for each in self.every_filter:
            merged = merged.keep(each.keep(view, merged.rows))
        return merged.first(self.considered)

    def _reasons(self, view: View, kept: Merged, selection: Selection) -> list[list[str]]:
        reasons = [[""] * selection.picks.shape[1] for _ in range(len(view))]
        shoppers, slots = np.nonzero(selection.picks >= 0)
        columns = selection.picks[shoppers, slots]
        rows, sources = kept.rows[shoppers, columns], kept.sources[shoppers, columns]
        for number, (source, *_) in enumerate(self.sources):
            mine = np.flatnonzero(sources == number)
            if len(mine):
                texts = source.explain(view, shoppers[mine], rows[mine])
                for shopper, slot, text in zip(shoppers[mine], slots[mine], texts, strict=True):
                    reasons[shopper][slot] = text
        return reasons


class Stopwatch:
    """Times of the stages, for the receipt. The only clock of the engine, and nothing depends on it."""

    def __init__(self, slates: int) -> None:
        self._slates = slates
        self.timings: list[StageTiming] = []

    def timed(self, stage: str, work: Callable[[], T]) -> T:
        """Do the work and note how long it took."""
        started = perf_counter()
        done = work()
        microseconds = round((perf_counter() - started) * 1e6)
        self.timings.append(StageTiming(stage=stage, microseconds=microseconds, slates=self._slates))
        return done
