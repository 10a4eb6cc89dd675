"""The body of ``daogou evaluate`` where shoppers are split once: leave-one-out, cold items, one cut through time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from contracts.bundle import Bundle, open_bundle
from contracts.settings import load_settings
from evaluation.cold import cold_ones
from evaluation.compare import BASELINES, COLD_BASELINES, Comparison, Row, sasrec, served, table
from evaluation.folder import files_of
from evaluation.known import without_items, without_last_visits, write_log
from evaluation.seen import Seen, seen_by
from evaluation.sequences import Log, read
from evaluation.task import Task, last_one
from evaluation.time_split import later_ones
from evaluation.whole import against_all
from launch.bar import bar
from launch.evaluate_options import say_refused
from launch.evaluate_tables import print_tables, write_json
from launch.one_thread import one_thread
from launch.options import print_json
from launch.own_bundle import Own, own_bundle
from training import log as training_log
from training.telling import Say, Step


class Asked(Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    protocol: str = "leave-one-out"
    bundle: Path | None = None
    train: str | None = None
    any_memory: bool = False
    bundle_only: bool = False
    sasrec: bool = False
    against_all: int = 0
    out: Path | None = None
    seed: int = 0


def evaluate_split(folder: Path, asked: Asked, as_json: bool) -> None:
    """Run the rows, print the table or JSON, and write the folder if one is wanted."""
    one_thread()
    with Console(stderr=True).status("reading"):
        log = read(folder)
    say_refused(log.source)
    task = _task(log, asked)
    with bar(stderr=True) as (say, step), _bundle(log, task, asked, say, step) as bundle:
        found = table(log, task, say, asked.seed, _rows(task, asked, bundle, say, step))
        if bundle and asked.bundle:
            found = _judged(found, seen_by(bundle, files_of(folder), log.source, task.held_out.tolist()))
        if asked.against_all and bundle:
            engine = load_settings().engine
            whole = against_all(log, task, bundle, engine, step, asked.against_all, asked.seed)
            found = replace(found, against_all=whole)
    if asked.out:
        _write(asked.out, log, task, found)
    if as_json:
        print_json(found)
    else:
        print_tables(found)


def _judged(found: Comparison, seen: Seen) -> Comparison:
    return replace(found, bundle_seen=seen, warnings=(*found.warnings, *seen.warnings))


def _task(log: Log, asked: Asked) -> Task:
    if asked.protocol == "cold":
        return cold_ones(log, asked.seed)
    return later_ones(log, asked.seed) if asked.protocol == "time-split" else last_one(log, asked.seed)


@contextmanager
def _bundle(log: Log, task: Task, asked: Asked, say: Say, step: Step) -> Iterator[Bundle | None]:
    """The one that was given, or one trained for this alone, which is gone afterwards; None where neither is asked."""
    if asked.train is None:
        yield open_bundle(asked.bundle) if asked.bundle else None
        return
    with TemporaryDirectory() as scratch:
        known = without_last_visits(_warm(log, task))
        own = Own(preset=asked.train, seed=asked.seed, any_memory=asked.any_memory)
        yield own_bundle(known, Path(scratch), own, say, step)


def _warm(log: Log, task: Task) -> training_log.Log:
    return log.source if task.cold is None else without_items(log.source, log.items, task.cold)


def _rows(task: Task, asked: Asked, bundle: Bundle | None, say: Say, step: Step) -> tuple[Row, ...]:
    neural = (sasrec(say),) if asked.sasrec else ()
    baselines = BASELINES if task.cold is None else COLD_BASELINES
    engine = load_settings().engine
    told = (False,) if task.cold is None else (False, True)
    if asked.bundle_only:
        return tuple(served(bundle, step, engine, new) for new in told)
    bundles = (None,) if bundle is None else (None, bundle)
    return (*baselines, *neural, *(served(one, step, engine, new) for one in bundles for new in told))


def _write(out: Path, log: Log, task: Task, found: Comparison) -> None:
    from evaluation.plots import draw

    write_json(out, found)
    draw(found, out)
    if task.cold is not None:
        write_log(_warm(log, task), out / "training")
