"""A folder that is there whole or not at all, and what every manifest says of its makers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from contracts.bundle import Version

#: Whose versions stand in the manifest.
LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "safetensors", "tokenizers", "torch", "transformers")


def versions() -> tuple[Version, ...]:
    """Of the libraries that make a bundle, for its manifest."""
    return tuple(Version(library=each, version=version(each)) for each in LIBRARIES)


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """An empty folder beside ``out``, which takes its place at the end, unless there was an error."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.{uuid4().hex[:8]}.part")
    part.mkdir()
    try:
        yield part
        if out.exists():
            shutil.rmtree(out)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
