"""What a local text encoder's folder says of itself: Hugging Face's form, or sentence-transformers'.

sentence-transformers: ``modules.json`` lists the parts of a pipeline, each with a folder of its own. A transformer, a
pooling by mean or by the first token, and a normalisation are what one graph is made of here; whatever else stands
there would change the vectors, so it is refused by name.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Struct, field

from contracts.errors import Reason, Unacceptable, Unreadable
from training.config import CONFIG as CHECKPOINT
from training.encoder import Pooling
from training.head import DESCRIPTION as HEAD
from training.weights import lacking, pickled

MODULES = "modules.json"
CONFIG = "config.json"

#: Model types that were tried, and how many positions lie before a text's first one (padding's id and one more).
POSITIONS_BEFORE = {"bert": 0, "distilbert": 0, "roberta": 2, "mpnet": 2}

NO_LIMIT = 1 << 20  # tokens; the transformer's own limit is less

Part = TypeVar("Part")
FolderKind = Literal["checkpoint", "head", "encoder"]


class Described(NamedTuple):
    """Where the transformer lies, and what makes one vector of its states. ``max_tokens`` None: it does not say."""

    transformer: Path
    pooling: Pooling
    normalize: bool
    max_tokens: int | None = None
    lower_case: bool = False


class _Module(Struct):
    type: str
    path: str = ""

    @property
    def kind(self) -> str:
        return self.type.rpartition(".")[2]


class _Transformer(Struct):
    """``sentence_bert_config.json``."""

    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Prompts(Struct):
    """``config_sentence_transformers.json``: what is put before each text."""

    default_prompt_name: str | None = None


class _Model(Struct):
    """``config.json``, as far as it decides what can be exported."""

    model_type: str = ""
    max_position_embeddings: int = 512
    auto_map: dict[str, Any] = field(default_factory=dict)


def kind_of(folder: Path) -> FolderKind:
    """What the folder is, by the first of its descriptions.

    Raises:
        Unacceptable: a pickle, or a folder with pickles alone.
        Unreadable: it describes itself as nothing that can be exported.
    """
    described_by: dict[str, FolderKind] = {
        CHECKPOINT: "checkpoint", HEAD: "head", MODULES: "encoder", CONFIG: "encoder"
    }  # fmt: skip
    for name, kind in described_by.items():
        if (folder / name).is_file():
            return kind
    if pickled(folder):
        raise lacking(folder)
    raise Unreadable(
        Reason.EMPTY,
        f"{folder} is no checkpoint, no head and no text encoder: it has none of {', '.join(described_by)}",
    )


def described(folder: Path) -> Described:
    """Read the folder's own description; plain Hugging Face folders get the mean, of unit length.

    Raises:
        Unreadable: a file is missing or is no JSON of its kind.
        Unacceptable: a part that cannot be exported, by name.
    """
    found = _pipeline(folder) if (folder / MODULES).is_file() else Described(folder, "mean", True)
    _check_model(found.transformer)
    return found


def positions(transformer: Path) -> int:
    """The longest text that the transformer takes, in tokens."""
    config = _read(transformer / CONFIG, _Model)
    return config.max_position_embeddings - POSITIONS_BEFORE[config.model_type]


def _pipeline(folder: Path) -> Described:
    modules = _read(folder / MODULES, list[_Module])
    kinds = [module.kind for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _refused(
            folder / MODULES, f"lists {', '.join(kinds) or 'nothing'}: only Transformer, Pooling and, last, Normalize "
            "can be exported"
        )  # fmt: skip
    prompts = _read(folder / "config_sentence_transformers.json", _Prompts)
    if prompts.default_prompt_name:
        raise _refused(
            folder, f"puts its prompt {prompts.default_prompt_name!r} before each text; prompts are not kept"
        )
    transformer = folder / modules[0].path
    own = _read(transformer / "sentence_bert_config.json", _Transformer)
    pooling = _pooling(folder / modules[1].path / CONFIG)
    return Described(transformer, pooling, len(kinds) == 3, own.max_seq_length or NO_LIMIT, own.do_lower_case)


def _pooling(path: Path) -> Pooling:
    """The one pooling mode: a name (from sentence-transformers 5.4), or switches of which one is on."""
    config = _read(path, dict[str, Any])
    given = config.get("pooling_mode")
    switches = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    on = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    names = [str(given)] if given else [switches.get(name, name) for name in on]
    if names == ["mean"]:
        return "mean"
    if names == ["cls"]:
        return "cls"
    raise _refused(path, f"pools by {' and '.join(names) or 'nothing'}: only the mean or the first token (cls) alone")


def _check_model(transformer: Path) -> None:
    if not (transformer / CONFIG).is_file():
        raise Unreadable(Reason.EMPTY, f"{transformer} has no {CONFIG}: it is no model folder in Hugging Face's form")
    config = _read(transformer / CONFIG, _Model)
    if config.auto_map:
        raise _refused(transformer / CONFIG, "names code of its own (auto_map), which is never run")
    if config.model_type not in POSITIONS_BEFORE:
        raise _refused(
            transformer / CONFIG, f"is of type {config.model_type!r}; exported are {', '.join(POSITIONS_BEFORE)}"
        )  # fmt: skip


def _read(path: Path, kind: type[Part]) -> Part:
    """A JSON file; one that is not there says nothing. Raises: Unreadable."""
    try:
        return msgspec.json.decode(path.read_bytes() if path.is_file() else b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path}: {error}") from error


def _refused(where: Path, why: str) -> Unacceptable:
    return Unacceptable(Reason.NOT_APPLICABLE, f"{where} {why}")
