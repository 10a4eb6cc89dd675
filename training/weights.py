"""Tensors from a file into a module: all of them, in the shapes that are asked for, and never out of a pickle."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from contracts.errors import Reason, Unacceptable, Unreadable

SAFE = ".safetensors"
PICKLES = (".bin", ".pkl", ".pt", ".pth")
CONVERT_MODEL = "AutoModel.from_pretrained(FOLDER).save_pretrained(OUT, safe_serialization=True)"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file of ours.

    Raises:
        Unacceptable: it is not there; the message says how a pickle becomes it.
        Unreadable: it is cut short, or no safetensors.
    """
    if not path.exists():
        raise _lacking_tensors(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def tensor_of(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    """One tensor of ``path``. Raises: Unacceptable, where it is not there or has another shape."""
    _check_shapes({name: shape}, tensors, path)
    return tensors[name]


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put the ``tensors`` of ``path`` into ``module``. Raises: Unacceptable, naming the first that does not fit."""
    _check_shapes({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}, tensors, path)
    strangers = sorted(tensors.keys() - module.state_dict().keys())
    if strangers:
        raise _misfit(path, strangers[0], "and the model has no such tensor", len(strangers))
    module.load_state_dict(dict(tensors))


def _check_shapes(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], path: Path) -> None:
    wrong = [name for name, shape in wanted.items() if name not in tensors or tuple(tensors[name].shape) != shape]
    if wrong:
        first, shape = wrong[0], list(wanted[wrong[0]])
        found = f"of shape {list(tensors[first].shape)}, not {shape}" if first in tensors else f"missing, {shape}"
        raise _misfit(path, first, found, len(wrong))


def _misfit(path: Path, name: str, found: str, count: int) -> Unacceptable:
    others = f"; {count} tensors in all do not fit" if count > 1 else ""
    return Unacceptable(Reason.NOT_APPLICABLE, f"{path} does not fit the model beside it: {name} is {found}{others}")


def pickled(path: Path) -> bool:
    """Whether it is a pickle by its name, or a folder whose only weights are pickles."""
    files = list(path.iterdir()) if path.is_dir() else [path]
    endings = {file.suffix for file in files}
    return bool(endings & set(PICKLES)) and SAFE not in endings


def lacking(path: Path, wanted: str = f"*{SAFE}", convert: str = CONVERT_MODEL) -> Unacceptable:
    """That ``wanted``, what weights are read from, is not there, and how a pickle becomes it."""
    endings, has = ", ".join(f"*{ending}" for ending in PICKLES), "has" if path.is_dir() else "is"
    return Unacceptable(
        Reason.NOT_APPLICABLE,
        f"{path} {has} no {wanted}; a pickle ({endings}) can run code and is never loaded. "
        f"Convert it where you trust it: {convert}",
    )


def _lacking_tensors(path: Path) -> Unacceptable:
    convert = f'safetensors.torch.save_file(torch.load(FILE, weights_only=True), "{path.name}")'
    return lacking(path.parent, path.name, convert)
