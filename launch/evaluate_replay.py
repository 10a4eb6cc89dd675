"""The body of ``daogou evaluate --protocol replay``, which the benchmark calls as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from contracts.bundle import Bundle, open_bundle
from contracts.settings import load_settings
from contracts.surface_file import load_surfaces
from contracts.surfaces import NEXT
from evaluation.folder import Files, files_of
from evaluation.replay import Plan
from evaluation.replay_table import AtDelay, ReplayTable, Row, Source, replay_table
from evaluation.seen import seen_by
from inference.engine import Engine
from launch.bar import bar
from launch.evaluate_options import say_refused
from launch.evaluate_tables import caption, write_json
from launch.one_thread import one_thread
from launch.options import known_surface, print_json
from launch.own_bundle import Own, own_bundle
from training.log import read_log
from training.telling import Say, Step


class Wanted(Struct, frozen=True, kw_only=True):
    """What the command line asks for. ``freshness``: seconds, separated by commas; ``train``: a preset."""

    freshness: str = "0"
    bundle: Path | None = None
    first: float = 0.6
    last: float = 1.0
    seed: int = 0
    surface: str = NEXT
    one_in: int = 1
    train: str | None = None
    any_memory: bool = False
    out: Path | None = None


def evaluate_replay(folder: Path, wanted: Wanted, as_json: bool) -> None:
    """Replay, print the table or JSON, and write the folder if one is wanted."""
    found = replayed(folder, wanted)
    if wanted.out:
        _write(wanted.out, found)
    if as_json:
        print_json(found)
        return
    console = Console()
    console.print(_table(found))
    console.print(_parts(found.delays[0]))
    served = f"bundle {found.bundle[:12]}" if found.bundle else "no bundle: the fallback scorer"
    asked = f" (one shopper in {wanted.one_in} is asked)" if wanted.one_in > 1 else ""
    typer.echo(
        f"{found.data}: {found.turns:,} turns of {found.shoppers:,} shoppers{asked}, {found.events:,} events, "
        f"{found.items:,} items; {served}"
    )


def replayed(folder: Path, wanted: Wanted) -> ReplayTable:
    """Read the log and replay it with the engine settings of the environment. Raises: Unacceptable, BundleRefused."""
    one_thread()
    settings = load_settings()
    surfaces = load_surfaces(settings.surfaces)
    known_surface(surfaces, wanted.surface)
    plan = _plan(wanted, settings.stream.statistics_interval)
    held = _seconds(wanted.freshness)
    files = files_of(folder)
    log = read_log(files.events, files.items)
    say_refused(log)
    source = Source(name=files.name, events=log.events, items=log.items)
    with bar(stderr=True) as (say, progress), _bundle(files, wanted, say, progress) as bundle:
        found = replay_table(
            source, lambda: Engine(bundle, settings.engine, settings.model, surfaces=surfaces), held, plan, progress,
            wanted.seed, say,
        )  # fmt: skip
        if bundle is None or wanted.train:
            return found
        seen = seen_by(bundle, files, log, plan.between(len(log.events)), (wanted.first,))
        return replace(found, bundle_seen=seen, warnings=(*found.warnings, *seen.warnings))


@contextmanager
def _bundle(files: Files, wanted: Wanted, say: Say, step: Step) -> Iterator[Bundle | None]:
    """The one that was given, or one trained on what comes before the turns; None where neither is asked."""
    if wanted.train is None:
        yield open_bundle(wanted.bundle) if wanted.bundle else None
        return
    before = read_log(files.events, files.items, until=wanted.first)
    with TemporaryDirectory() as scratch:
        own = Own(preset=wanted.train, seed=wanted.seed, protocol=before.protocol, any_memory=wanted.any_memory)
        yield own_bundle(before, Path(scratch), own, say, step)


def _write(out: Path, found: ReplayTable) -> None:
    from evaluation.replay_plots import draw_replay

    write_json(out, found)
    draw_replay(found, out)


def _plan(wanted: Wanted, interval: float) -> Plan:
    if not 0.0 <= wanted.first < wanted.last <= 1.0:
        raise typer.BadParameter("shares of the log: 0 <= FROM < UNTIL <= 1", param_hint="--from, --until")
    return Plan(
        first=wanted.first, last=wanted.last, flush_ms=round(interval * 1000), surface=wanted.surface,
        one_in=wanted.one_in,
    )  # fmt: skip


def _seconds(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0.0 <= seconds < float("inf") for seconds in found):
        raise typer.BadParameter(
            f"{text!r}; seconds from 0 on, separated by commas: 0,60,3600", param_hint="--freshness"
        )
    return found


def _table(found: ReplayTable) -> Table:
    table = Table(
        "held back", "model", "recall@10", "recall@20", "MRR@10", "MRR@20", "daogou's gain in recall@20", "in MRR@20",
        title=found.protocol, caption=caption("one item is the target of a turn", found.warnings),
    )  # fmt: skip
    for delay in found.delays:
        for row in delay.rows:
            gains = (str(row.gain.recall), str(row.gain.mrr)) if row.gain else ("", "")
            table.add_row(f"{delay.held_seconds:g} s", row.model, *_figures(row), *gains)
        table.add_section()
    return table


def _parts(delay: AtDelay) -> Table:
    title = f"by what the target was; held back {delay.held_seconds:g} s"
    table = Table("target", "turns", "model", "recall@10", "recall@20", "MRR@10", "MRR@20", title=title)
    for share in delay.parts:
        for row in share.rows:
            table.add_row(share.part, f"{share.turns:,}", row.model, *_figures(row))
        table.add_section()
    return table


def _figures(row: Row) -> list[str]:
    return [f"{f.recall:.4f}" for f in row.figures] + [f"{f.mrr:.4f}" for f in row.figures]
