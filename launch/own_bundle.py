"""A bundle trained and exported for one evaluation, on what that evaluation lets anybody know."""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from contracts.bundle import Bundle
from contracts.protocol import Protocol
from training.log import Log
from training.telling import Say, Step

LESS = "a smaller preset (--train tiny), in a replay a smaller part of the log before it (--from 0.3)"


class Own(Struct, frozen=True, kw_only=True):
    """How it is trained. ``preset`` is one of ``PRESETS``."""

    preset: str
    seed: int
    protocol: Protocol = Protocol.LEAVE_ONE_OUT
    any_memory: bool = False


def own_bundle(log: Log, scratch: Path, own: Own, say: Say, step: Step) -> Bundle:
    """As ``daogou train`` and ``daogou export`` make it of ``log``; it lies in ``scratch``.

    Raises: Unacceptable, ExportRefused; EnvironmentRefused, where memory will not do.
    """
    from launch.training_extra import required

    required()
    from export.export import export_bundle
    from inference.scorers.fallback import BLEND
    from launch.export_options import quiet_export
    from training.config import PRESETS
    from training.memory import available_memory, check_memory, needs
    from training.train import train

    quiet_export()
    plan = replace(PRESETS[own.preset], seed=own.seed, protocol=own.protocol)
    if not own.any_memory:
        check_memory(needs(log, plan, plan.encoder.dim), available_memory(), LESS)
    train(log, scratch / "checkpoint", plan, say, None, BLEND, step)
    return export_bundle(scratch / "checkpoint", scratch / "bundle", own.preset, say)
