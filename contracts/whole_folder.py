"""A folder that is there whole or not at all: written beside, then put in the place of the old one.

What is replaced is only what the same command made: a folder that carries its mark. Everything else is a person's.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from contracts.errors import EnvironmentRefused, OutRefused

FULL = (errno.ENOSPC, errno.EDQUOT)
NAMED = 3  # of what stands in the way; the rest is counted


class Mark(NamedTuple):
    """What a folder of ours is known by: a file in it, and a word in that file, for others name their files so too."""

    file: str
    word: str = ""


def check_replaceable(out: Path, mark: Mark) -> None:
    """Whether ``out`` may be written: nothing is there, or an empty folder, or one that has ``mark``.

    Raises: OutRefused, which says what is there and what to do.
    """
    place = out.resolve()
    if place.is_mount() or place == Path.cwd():
        raise OutRefused(f"{out} cannot be replaced as a whole: name a folder in it that is not there yet")
    file = next((path for path in (place, *place.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        raise OutRefused(f"{file} is a file, and a folder is to be written there: name another one")
    if place.is_dir() and not _is_ours(place, mark):
        raise OutRefused(
            f"{out} holds {_shown(place)}: only an empty folder, or one that this command wrote (it has a "
            f"{mark.file}), is replaced. Name another folder, or take this one away"
        )


def _is_ours(folder: Path, mark: Mark) -> bool:
    file = folder / mark.file
    return not any(folder.iterdir()) or (file.is_file() and mark.word.encode() in file.read_bytes())


def _shown(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@contextmanager
def replaced(out: Path, mark: Mark) -> Iterator[Path]:
    """An empty folder beside ``out``, which takes its place at the end, unless there was an error.

    Raises:
        OutRefused: as ``check_replaceable``; before anything is written, and again before it is put in place.
        EnvironmentRefused: the disk is full; ``out`` is as it was.
    """
    check_replaceable(out, mark)
    place = out.resolve()  # a link's folder is replaced, not the link
    place.parent.mkdir(parents=True, exist_ok=True)
    name = f"{place.name}.{uuid4().hex[:8]}"
    part, old = place.with_name(f"{name}.part"), place.with_name(f"{name}.old")
    part.mkdir()
    try:
        yield part
        check_replaceable(out, mark)
        if place.exists():
            place.rename(old)
        part.rename(place)
    except BaseException as error:
        if old.exists() and not place.exists():
            old.rename(place)
        if full(error):
            raise EnvironmentRefused(f"the disk is full: {out} is as it was; make room, start again") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def full(error: BaseException) -> bool:
    """Whether the disk is full; safetensors says it in words only."""
    number = error.errno if isinstance(error, OSError) else None
    return number in FULL or f"code: {errno.ENOSPC}" in str(error)
