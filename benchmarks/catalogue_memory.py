"""Memory of a worker's engine with a whole catalogue: ``python -m benchmarks.catalogue_memory``.

Items with descriptions of about 300 characters, vectors of 384 + 4 numbers (a usual sentence encoder and id
deltas), 20 followers each, and one batch of 64 slates; exits 1 above the limit.
"""

import resource
import tempfile
from pathlib import Path

import psutil
import typer

from benchmarks.shoppers import asks, items, teach, vectors
from contracts.settings import EngineSettings, ModelSettings
from inference.engine import Engine
from tests.tiny_bundle import tiny_bundle

MIB = 2**20
TEXT_DIM = 384


def main(count: int = 100_000, limit_mib: int = 1024) -> None:
    """Fill an engine and print what it takes."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        bundle = tiny_bundle(Path(folder), text_dim=TEXT_DIM)
        engine = Engine(bundle, EngineSettings(), ModelSettings())
    before = process.memory_info().rss
    for item in items(count):
        engine.upsert(item)
    for vector in vectors(bundle, count, TEXT_DIM):
        engine.set_embedding(vector)
    teach(engine, count)
    filled = process.memory_info().rss
    engine.recommend(asks(64, count))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{count:,} items of {engine.table.dim} numbers each")
    print(f"{before / MIB:.0f} MiB before, {filled / MIB:.0f} MiB filled, {peak / MIB:.0f} MiB at most with 64 slates")
    raise typer.Exit(int(peak > limit_mib * MIB))


if __name__ == "__main__":
    typer.run(main)
