"""What a training run is, and what it leaves: presets, the checkpoint's own description."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from contracts.bundle import Figure, TrainingFacts
from contracts.errors import Reason, Unacceptable, Unreadable
from contracts.protocol import Protocol
from contracts.whole_folder import Mark

CONFIG = "checkpoint.json"
RANKER_WEIGHTS = "ranker.safetensors"
ITEM_IDS = "items.json"
ENCODER_FOLDER = "encoder"
CHECKPOINT = Mark(CONFIG, '"feature_means"')
#: Of ``training/model.py``: weights of another one cannot be read. 1 had several heads, and candidates saw themselves;
#: 2 read 14 features, 3 had no outcomes.
ARCHITECTURE = 4


class RankerSize(Struct, frozen=True, kw_only=True):
    """The transformer's shape."""

    dim: int = 64
    layers: int = 2
    feature_dim: int = 32
    dropout: float = 0.1
    history_limit: int = 50
    delta_dim: int = 16


class EncoderSize(Struct, frozen=True, kw_only=True):
    """The text encoder's shape, where it is pretrained from scratch.

    Epochs are fewer where they would read more than ``most_texts`` texts, and of a larger catalogue so many are drawn:
    it needs no more of them. ``meaning_epochs``: 0 leaves that lesson out.
    """

    dim: int = 96
    layers: int = 2
    attention_heads: int = 2
    vocabulary: int = 3000
    max_tokens: int = 64
    masked_epochs: int = 8
    meaning_epochs: int = 0
    contrastive_epochs: int = 12
    most_texts: int = 16_000

    def epochs(self, wanted: int, texts: int) -> int:
        """As many as wanted, or as stay within ``most_texts``; at least one."""
        return max(1, min(wanted, self.most_texts // max(1, texts)))


class Plan(Struct, frozen=True, kw_only=True):
    """One training run. ``refit``: once judged, it is taught anew as long as was best, with what judged as well.

    The learning rate rises over ``warmup_steps`` (at most a tenth of all), then falls in a straight line to 0.
    ``catalogue_negatives``: retrieval is learned against all items up to so many, against so many drawn ones beyond.
    """

    preset: str = "small"
    seed: int = 0
    epochs: int = 3
    patience: int = 3
    refit: bool = True
    batch: int = 64
    negatives: int = 63
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    probability_weight: float = 0.5
    retrieval_weight: float = 0.3
    catalogue_negatives: int = 8192
    validation_share: float = 0.1
    protocol: Protocol = Protocol.TIME
    threads: int = 1
    device: str = "cpu"
    ranker: RankerSize = RankerSize()
    encoder: EncoderSize = EncoderSize()


PRESETS = {
    "tiny": Plan(
        preset="tiny", epochs=2, negatives=15,
        ranker=RankerSize(dim=32, layers=1, feature_dim=16, history_limit=20, delta_dim=8),
        encoder=EncoderSize(dim=32, layers=1, vocabulary=800, max_tokens=32, masked_epochs=1, contrastive_epochs=2),
    ),
    "small": Plan(),
    "base": Plan(
        preset="base",
        ranker=RankerSize(dim=128, layers=3, delta_dim=32),
    ),
}  # fmt: skip


class Checkpoint(Struct, frozen=True, kw_only=True):
    """``checkpoint.json``: all that the weights do not say. ``outcomes``: those of ``OUTCOME_HEADS`` it was taught."""

    plan: Plan
    text_dim: int
    max_tokens: int
    feature_means: tuple[float, ...]
    feature_scales: tuple[float, ...]
    prerank: tuple[float, ...]
    facts: TrainingFacts
    outcomes: tuple[str, ...] = ()
    architecture: int = 1


def told(folder: Path, values: Sequence[Figure]) -> str:
    """Where a checkpoint is, and how good: one line for people."""
    return f"{folder}: {', '.join(f'{figure.name} {figure.value:g}' for figure in values)}"


def save_checkpoint(folder: Path, checkpoint: Checkpoint, item_ids: tuple[str, ...]) -> None:
    """Write the description; the weights lie there already."""
    (folder / ITEM_IDS).write_bytes(msgspec.json.encode(item_ids))
    (folder / CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(checkpoint), indent=1) + b"\n")


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the description. Raises: Unreadable, where it is none of ours; Unacceptable, where its model is old."""
    path = folder / CONFIG
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except OSError as error:
        raise Unreadable(Reason.EMPTY, f"{folder} is no checkpoint: {CONFIG} cannot be read") from error
    except msgspec.DecodeError as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path}: {error}") from error
    if found.architecture != ARCHITECTURE:
        said = f"{folder} holds a model of architecture {found.architecture}, this version reads {ARCHITECTURE}"
        raise Unacceptable(Reason.NOT_APPLICABLE, f"{said}: train it again (bundles that were exported go on serving)")
    return found


def load_item_ids(folder: Path) -> tuple[str, ...]:
    """The items of the trained deltas, in their order. Raises: Unreadable."""
    path = folder / ITEM_IDS
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[str, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path} cannot be read: {error}") from error


def figures(values: dict[str, float]) -> tuple[Figure, ...]:
    """Named numbers for the manifest."""
    return tuple(Figure(name=name, value=round(value, 6)) for name, value in values.items())
