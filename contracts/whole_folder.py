"""A folder that is there whole or not at all: written beside, then put in the place of the old one."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from contracts.errors import EnvironmentRefused

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """An empty folder beside ``out``, which takes its place at the end, unless there was an error.

    Raises: EnvironmentRefused, where the disk is full; ``out`` is as it was.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    name = f"{out.name}.{uuid4().hex[:8]}"
    part, old = out.with_name(f"{name}.part"), out.with_name(f"{name}.old")
    part.mkdir()
    try:
        yield part
        if out.exists():
            out.rename(old)
        part.rename(out)
    except Exception as error:
        if old.exists() and not out.exists():
            old.rename(out)
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
