"""A bundle trained and exported for one evaluation, on what that evaluation lets anybody know."""

from pathlib import Path

from msgspec.structs import replace

from contracts.bundle import Bundle
from contracts.protocol import Protocol
from training.log import Log
from training.telling import Say, Step


def own_bundle(
    log: Log, scratch: Path, preset: str, seed: int, say: Say, step: Step, protocol: Protocol = Protocol.LEAVE_ONE_OUT
) -> Bundle:
    """As ``daogou train`` and ``daogou export`` make it of ``log``; it lies in ``scratch``.

    ``preset`` is one of ``PRESETS``. Raises: Unacceptable, ExportRefused.
    """
    from launch.training_extra import required

    required()
    from export.export import export_bundle
    from inference.scorers.fallback import BLEND
    from launch.commands.export import quiet_export
    from training.config import PRESETS
    from training.train import train

    quiet_export()
    plan = replace(PRESETS[preset], seed=seed, protocol=protocol)
    train(log, scratch / "checkpoint", plan, say, None, BLEND, step)
    return export_bundle(scratch / "checkpoint", scratch / "bundle", preset, say)
