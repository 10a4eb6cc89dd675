"""What came of an answer: the share of the stars it got, and whether the shopper visited the shop again.

Both are known of some answers only, NaN where not. Figures stand beside what needs no model: the best constant for
stars, and chance (.5) for the area under the curve of return visits.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.dialects.dataset import untimed
from contracts.events import AnyEvent, Review
from contracts.features import OUTCOME_HEADS
from training.stored_events import shoppers_of

MOST_STARS = 5.0
VISIT_GAP_MS = 1_800_000  # a visit is over after half an hour of silence, as web analytics has it
WITHIN_MS = 7 * 86_400_000
LEAST = 100  # answers of which an outcome is known, or it teaches nothing that could be told from chance

Floats = NDArray[np.float32]


def rating_of(event: AnyEvent) -> float:
    """The share of the stars that an event gives its item; NaN where it gives none."""
    return event.rating / MOST_STARS if isinstance(event, Review) and event.rating is not None else float("nan")


def return_visits(events: Sequence[AnyEvent]) -> Floats:
    """[events]: 1 where the shopper did something after the visit and within a week of the event, else 0.

    NaN in the log's last week, and where there are no times: nobody knows yet. ``events`` stand in the order of time.
    """
    times, made_up = np.zeros(len(events), np.int64), False
    for at, event in enumerate(events):
        times[at], made_up = event.time_ms, made_up or untimed(event)
    if made_up or not len(times):
        return np.full(len(times), np.nan, np.float32)
    return _came_back(shoppers_of(events).astype(np.int64), times)


def _came_back(users: NDArray[np.int64], times: NDArray[np.int64]) -> Floats:
    """By one search in all (shopper, second) pairs, each pair one number."""
    seconds = (times - times[0]) // 1000
    wide = int(seconds[-1]) + (VISIT_GAP_MS + WITHIN_MS) // 1000 + 1
    keys = users * wide + seconds
    found = np.sort(keys)
    later = np.searchsorted(found, keys + VISIT_GAP_MS // 1000, side="left")
    next_one = np.append(found, np.iinfo(np.int64).max)[later]
    came = (next_one // wide == users) & (next_one - keys <= WITHIN_MS // 1000)
    return np.where(seconds[-1] - seconds >= WITHIN_MS // 1000, came, np.nan).astype(np.float32)


def taught(outcomes: Iterable[Floats]) -> tuple[str, ...]:
    """Those of ``OUTCOME_HEADS`` that enough answers of the batches [B, outcome heads] know, and not all alike."""
    count, low, high = (np.full(len(OUTCOME_HEADS), start) for start in (0.0, np.inf, -np.inf))
    for batch in outcomes:
        known = np.isfinite(batch)
        count += known.sum(axis=0)
        low = np.minimum(low, np.where(known, batch, np.inf).min(axis=0, initial=np.inf))
        high = np.maximum(high, np.where(known, batch, -np.inf).max(axis=0, initial=-np.inf))
    enough = (count >= LEAST) & (low < high)
    return tuple(name for name, one in zip(OUTCOME_HEADS, enough, strict=True) if one)


def outcome_figures(said: Floats, truth: Floats) -> dict[str, float]:
    """Of answers [n, outcome heads] that judge; nothing of an outcome that none of them knows."""
    known = np.isfinite(truth)
    figures: dict[str, float] = {}
    if known[:, 0].any():
        stars, guessed = truth[known[:, 0], 0] * MOST_STARS, said[known[:, 0], 0] * MOST_STARS
        figures["validation_rating_rmse"] = float(np.sqrt(np.square(stars - guessed).mean()))
        figures["validation_rating_rmse_of_mean"] = float(stars.std())
    if len(np.unique(truth[known[:, 1], 1])) > 1:
        figures["validation_return_visit_auc"] = area(said[known[:, 1], 1], truth[known[:, 1], 1] > 0.5)
        figures["validation_return_visit_share"] = float(truth[known[:, 1], 1].mean())
    return figures


def area(said: Floats, truth: NDArray[np.bool_]) -> float:
    """Under the receiver operating characteristic: how often a true one is said to be likelier; ties count half."""
    _, places, counts = np.unique(said, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[places]
    yes, no = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - yes * (yes + 1) / 2.0) / (yes * no))
