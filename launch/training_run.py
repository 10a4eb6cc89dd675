"""The body of ``daogou train``: where the log comes from, whether it fits the machine, and what is said meanwhile."""

import asyncio
from pathlib import Path
from shutil import rmtree

import typer
from msgspec import Struct
from msgspec.structs import replace

from contracts.errors import Reason, Unacceptable
from contracts.protocol import Protocol
from contracts.settings import Settings
from contracts.whole_folder import check_replaceable
from export.folders import MODULES, described
from inference.scorers.fallback import BLEND
from launch.bar import bar
from launch.log_snapshot import EVENTS, ITEMS, save_log
from launch.one_thread import one_thread
from training.compute import chosen_device
from training.config import CHECKPOINT, PRESETS, Plan, told
from training.encoder import quiet
from training.encoder_memory import reading_needs, shape_of
from training.log import Log, read_log
from training.memory import Need, available_memory, check_memory, needs
from training.train import train

LESS = "a part of the log (--until 0.5), a smaller --preset or --encoder"


class Asked(Struct, frozen=True, kw_only=True):
    """What the command line asks for; see ``daogou train --help``. Without ``events`` the log is read from Kafka."""

    events: Path | None
    items: Path | None
    out: Path
    preset: str
    epochs: int | None
    seed: int
    encoder: Path | None
    hold_back: int
    until: float
    protocol: Protocol | None
    refit: bool
    any_memory: bool
    threads: int
    device: str
    learning_rate: float | None


def run_training(asked: Asked, settings: Settings | None = None) -> None:
    """Train, and say how good it is. ``settings``: where Kafka is, if the log comes from there.

    Raises: OutRefused, Unreadable, Unacceptable, EnvironmentRefused, BrokerUnavailable.
    """
    if asked.preset not in PRESETS:
        raise typer.BadParameter(f"{asked.preset!r}; there are {', '.join(PRESETS)}", param_hint="--preset")
    check_replaceable(asked.out, CHECKPOINT)
    quiet()
    one_thread()
    saved = _from_topics(asked.out.with_name(f"{asked.out.name}.log"), settings) if settings else None
    log = _log(asked, saved)
    plan, encoder = _plan(asked, log), transformer_of(asked.encoder) if asked.encoder else None
    if not asked.any_memory:
        check_memory(_needs(log, plan, encoder), available_memory(), LESS)
    with bar() as (say, step):
        checkpoint = train(log, asked.out, plan, say, encoder, BLEND, step)
    if saved is not None:
        rmtree(saved)
    typer.echo(told(asked.out, checkpoint.facts.metrics))


def transformer_of(folder: Path) -> Path:
    """The transformer in a folder of Hugging Face's or sentence-transformers' form.

    Raises: Unreadable; Unacceptable, where its vectors are not the mean of its states, which is what is trained with.
    """
    if not (folder / MODULES).is_file():
        return folder
    found = described(folder)
    if found.pooling != "mean":
        said = f"{folder} makes vectors by {found.pooling}; training reads the mean of a transformer's states"
        raise Unacceptable(Reason.NOT_APPLICABLE, f"{said}: give an encoder that is pooled so")
    return found.transformer


def _needs(log: Log, plan: Plan, encoder: Path | None) -> tuple[Need, ...]:
    if encoder is None:
        return needs(log, plan, plan.encoder.dim)
    shape = shape_of(encoder)
    return (*needs(log, plan, shape.width), *reading_needs(shape, plan.encoder.max_tokens))


def _from_topics(folder: Path, settings: Settings) -> Path:
    """A folder with a snapshot of the topics; one that an earlier try left is taken as it is."""
    if (folder / EVENTS).is_file():
        typer.echo(f"goes on with the log in {folder}")
        return folder
    with bar() as (say, step):
        found = asyncio.run(save_log(settings, folder, lambda n: step(f"{n:,} records read", n, 0)))
        say(f"read from Kafka: {found.events:,} events, {found.items:,} items, {found.refused:,} records refused")
    return folder


def _log(asked: Asked, saved: Path | None) -> Log:
    events, items = (saved / EVENTS, saved / ITEMS) if saved else (asked.events or Path(), asked.items)
    log = read_log(events, items, asked.hold_back, asked.until)
    for line in log.refusals:
        typer.echo(line)
    return log


def _plan(asked: Asked, log: Log) -> Plan:
    preset = PRESETS[asked.preset]
    return replace(
        preset, seed=asked.seed, threads=asked.threads, epochs=asked.epochs or preset.epochs,
        refit=asked.refit, device=chosen_device(asked.device),
        learning_rate=asked.learning_rate or preset.learning_rate,
        protocol=asked.protocol or (Protocol.LEAVE_ONE_OUT if asked.hold_back else log.protocol),
    )  # fmt: skip
