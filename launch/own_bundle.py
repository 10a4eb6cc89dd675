"""A bundle trained and exported for one evaluation, on what that evaluation lets anybody know."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from contracts.bundle import Bundle
from contracts.errors import Reason, Unacceptable
from contracts.protocol import Protocol

if TYPE_CHECKING:
    from training.log import Log

Say = Callable[[str], None]
Step = Callable[[str, int, int], None]


def own_bundle(
    log: "Log", scratch: Path, preset: str, seed: int, say: Say, step: Step, protocol: Protocol = Protocol.LEAVE_ONE_OUT
) -> Bundle:
    """As ``daogou train`` and ``daogou export`` make it of ``log``; it lies in ``scratch``.

    Raises: Unreadable, Unacceptable, ExportRefused.
    """
    from launch.training_extra import required

    required()
    from export.export import export_bundle
    from inference.scorers.fallback import BLEND
    from launch.commands.export import quiet_export
    from training.config import PRESETS
    from training.train import train

    if preset not in PRESETS:
        raise Unacceptable(Reason.NOT_APPLICABLE, f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    quiet_export()
    plan = replace(PRESETS[preset], seed=seed, protocol=protocol)
    train(log, scratch / "checkpoint", plan, say, None, BLEND, step)
    return export_bundle(scratch / "checkpoint", scratch / "bundle", preset, say)
