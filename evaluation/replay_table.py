"""The table of a replay: daogou beside the live count model and popularity, at each delay, on the same turns."""

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from contracts.dialects.dataset import untimed
from contracts.errors import Reason, Unacceptable
from contracts.events import AnyEvent, BundleDigest
from contracts.messages import CatalogueItem
from evaluation.held import Shelf
from evaluation.metrics import Difference, Ranks, hit_rate, over_shoppers, reciprocal_rank
from evaluation.replay import LIST, MODELS, Plan, Ranked, Replay
from evaluation.seen import Seen
from evaluation.small import too_small
from evaluation.turns import Part
from inference.engine import Engine

PROTOCOL = (
    "replay: each turn to another item is predicted before it is learned; items seen before and cold items count; "
    "baselines rank the whole catalogue, ties against us; daogou's list has 20"
)
CUTOFFS = (10, LIST)

Progress = Callable[[str, int, int], None]


class Figures(Struct, frozen=True, kw_only=True):
    """Means over turns at one cutoff, one target a turn."""

    k: int
    recall: float
    mrr: float


class Gain(Struct, frozen=True, kw_only=True):
    """daogou minus a baseline at the largest cutoff, with 95% intervals by a bootstrap over shoppers."""

    recall: Difference
    mrr: Difference


class Row(Struct, frozen=True, kw_only=True):
    """One model. ``gain`` is daogou's over it; None for daogou itself."""

    model: str
    figures: tuple[Figures, ...]
    gain: Gain | None = None


class Share(Struct, frozen=True, kw_only=True):
    """The turns of one ``Part``."""

    part: str
    turns: int
    rows: tuple[Row, ...]


class AtDelay(Struct, frozen=True, kw_only=True):
    """All models when knowledge is held back by so many seconds of log time.

    ``degraded`` counts the slates that no bundle scored; ``seconds`` is the whole pass on this machine.
    """

    held_seconds: float
    rows: tuple[Row, ...]
    parts: tuple[Share, ...]
    degraded: int
    seconds: float


class ReplayTable(Struct, frozen=True, kw_only=True):
    """A whole replay, with what one must know to read it. ``firsts`` were not predicted: nothing came before them.

    ``bundle_seen``: whether a bundle that was given knew what was asked. ``warnings`` are for people.
    """

    data: str
    protocol: str
    plan: Plan
    bundle: BundleDigest | None
    events: int
    items: int
    turns: int
    shoppers: int
    firsts: int
    seed: int
    delays: tuple[AtDelay, ...]
    bundle_seen: Seen | None = None
    warnings: tuple[str, ...] = ()


class Source(Struct, frozen=True, kw_only=True):
    """What is replayed: a log's name, its events in the order of time, its catalogue."""

    name: str
    events: Sequence[AnyEvent]
    items: Sequence[CatalogueItem]


def replay_table(
    source: Source, make: Callable[[], Engine], held_seconds: Sequence[float], plan: Plan, progress: Progress,
    seed: int = 0, say: Callable[[str], None] = lambda _: None,
) -> ReplayTable:  # fmt: skip
    """One pass for each delay, each with a new engine from ``make``; ``say`` hears what each gave.

    Raises: Unacceptable, where there are no times.
    """
    if any(untimed(event) for event in source.events):
        raise Unacceptable(Reason.IMPOSSIBLE_TIME, f"{source.name} has no times: a replay needs them")
    shelf, delays = Shelf(source.items), []
    for held in held_seconds:
        started, engine = perf_counter(), make()
        ranked = Replay(engine, shelf, round(held * 1000), plan).run(source.events, _named(progress, held))
        if not len(ranked.shoppers):
            raise Unacceptable(
                Reason.EMPTY, f"{source.name} has no turn to predict between {plan.first} and {plan.last}"
            )
        delays.append(_at_delay(ranked, held, perf_counter() - started, seed))
        say(_in_words(delays[-1]))
    return ReplayTable(
        data=source.name, protocol=PROTOCOL, plan=plan, bundle=engine.bundle_digest, events=len(source.events),
        items=len(shelf), turns=len(ranked.shoppers), shoppers=len(np.unique(ranked.shoppers)), firsts=ranked.firsts,
        seed=seed, delays=tuple(delays), warnings=too_small("items", len(shelf), CUTOFFS),
    )  # fmt: skip


def _in_words(delay: AtDelay) -> str:
    found = (f"{row.model} {row.figures[-1].recall:.4f} / {row.figures[-1].mrr:.4f}" for row in delay.rows)
    return f"held back {delay.held_seconds:g} s, recall@{LIST} / MRR@{LIST}: {', '.join(found)}"


def _named(progress: Progress, held: float) -> Callable[[int, int], None]:
    return lambda done, of: progress(f"held back {held:g} s", done, of)


def _at_delay(ranked: Ranked, held: float, seconds: float, seed: int) -> AtDelay:
    return AtDelay(
        held_seconds=held,
        rows=_rows(ranked.ranks, ranked.shoppers, seed),
        parts=tuple(_share(ranked, part) for part in Part),
        degraded=ranked.degraded,
        seconds=seconds,
    )


def _rows(ranks: Ranks, shoppers: NDArray[np.int64], seed: int) -> tuple[Row, ...]:
    gains = [None, *(_gain(ranks[0], theirs, shoppers, seed) for theirs in ranks[1:])]
    return tuple(
        Row(model=model, figures=_figures(mine), gain=gain)
        for model, mine, gain in zip(MODELS, ranks, gains, strict=True)
    )


def _share(ranked: Ranked, part: Part) -> Share:
    ranks = ranked.ranks[:, ranked.parts == part]
    rows = tuple(Row(model=model, figures=_figures(mine)) for model, mine in zip(MODELS, ranks, strict=True))
    return Share(part=part.name.lower(), turns=ranks.shape[1], rows=rows if ranks.shape[1] else ())


def _figures(ranks: Ranks) -> tuple[Figures, ...]:
    if not len(ranks):
        return ()
    return tuple(
        Figures(k=k, recall=float(hit_rate(ranks, k).mean()), mrr=float(reciprocal_rank(ranks, k).mean()))
        for k in CUTOFFS
    )


def _gain(ours: Ranks, theirs: Ranks, shoppers: NDArray[np.int64], seed: int) -> Gain:
    return Gain(
        recall=over_shoppers(hit_rate(ours, LIST) - hit_rate(theirs, LIST), shoppers, seed),
        mrr=over_shoppers(reciprocal_rank(ours, LIST) - reciprocal_rank(theirs, LIST), shoppers, seed),
    )
