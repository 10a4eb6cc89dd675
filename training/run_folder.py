"""What a run has done so far, beside its checkpoint: killed and started again it goes on, and ends the same."""

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from contracts.features import FEATURES_VERSION
from contracts.whole_folder import Mark, check_replaceable
from training.config import ARCHITECTURE, Plan

KEY = "run"
STATE = "state.safetensors"
PROGRESS = "progress"
#: Changed with what texts, examples or their lists are made of: no run goes on with those of an earlier version.
MADE = 4


class Progress(Struct, frozen=True, kw_only=True):
    """How far the ranker is: epochs done, and how many of them have been no better than the best.

    ``passes`` of the features alone were best; ``again``: how many of the ``chosen`` epochs are done once more with
    what judged among what teaches, None while it still judges.
    """

    epochs: int = 0
    since_best: int = 0
    best: float = -1.0
    figures: dict[str, float] = {}
    passes: int = 0
    again: int | None = None

    @property
    def chosen(self) -> int:
        """After how many epochs it was best."""
        return self.epochs - self.since_best


def run_key(plan: Plan, data_digest: str, encoder: Path | None) -> str:
    """What makes two runs the same: plan, data, how it is read, and the given encoder's weights."""
    weights = sorted(encoder.glob("*.safetensors")) if encoder else []
    parts = (msgspec.json.encode(plan), data_digest.encode(), f"{FEATURES_VERSION} {ARCHITECTURE} {MADE}".encode())
    return sha256(b"\0".join((*parts, *(sha256(path.read_bytes()).digest() for path in weights)))).hexdigest()


class RunFolder:
    """``<checkpoint>.training``. What another run left there is removed. Raises: OutRefused, where no run made it."""

    def __init__(self, out: Path, key: str) -> None:
        self.path = out.with_name(f"{out.name}.training")
        check_replaceable(self.path, Mark(KEY))
        marker = self.path / KEY
        if self.path.exists() and not (marker.exists() and marker.read_text() == key):
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        marker.write_text(key)

    def step(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of a step, whole or not there: ``make`` fills it unless an earlier start did."""
        done, part = self.path / name, self.path / f"{name}.part"
        if not done.exists():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(done)
        return done

    def save(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """All of an epoch's state in one file, old or new and never half."""
        part = self.path / f"{STATE}.part"
        part.write_bytes(save(tensors, {PROGRESS: msgspec.json.encode(progress).decode()}))
        part.replace(self.path / STATE)

    def load(self) -> tuple[dict[str, Tensor], Progress]:
        """What the last ``save`` wrote; nothing and the beginning before the first."""
        path = self.path / STATE
        if not path.exists():
            return {}, Progress()
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            return tensors, msgspec.json.decode(file.metadata()[PROGRESS], type=Progress)

    def remove(self) -> None:
        """The checkpoint is there: nothing of this is needed any more."""
        shutil.rmtree(self.path)
