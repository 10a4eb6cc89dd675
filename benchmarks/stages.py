"""Microseconds of each stage of a slate, by batch and catalogue: ``python -m benchmarks.stages``.

The demo's own models on items of random vectors; one thread; the fastest of several rounds, which is what the
stages cost when nothing else runs.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.report import circumstances
from benchmarks.shoppers import asks, items, teach, vectors
from contracts.bundle import open_bundle
from contracts.settings import EngineSettings, ModelSettings
from inference.engine import Engine

DEMO = Path(__file__).parents[1] / "launch" / "demo_bundle"
CATALOGUES = (1_000, 100_000)
BATCHES = (1, 8, 64)
ROUNDS = 5


def engine_of(folder: Path, count: int) -> Engine:
    """An engine with ``count`` items, their vectors, and what shoppers taught."""
    bundle = open_bundle(folder)
    engine = Engine(bundle, EngineSettings(), ModelSettings())
    for item in items(count):
        engine.upsert(item)
    for vector in vectors(bundle, count, bundle.manifest.text_dim):
        engine.set_embedding(vector)
    teach(engine, count)
    return engine


def measure(folder: Path = DEMO, catalogues: Sequence[int] = CATALOGUES) -> list[dict[str, Any]]:
    """One row a catalogue and batch: microseconds of each stage for the whole batch."""
    rows = []
    for count in catalogues:
        engine = engine_of(folder, count)
        rows += [{"items": count, "batch": batch, **fastest(engine, batch, count)} for batch in BATCHES]
    return rows


def fastest(engine: Engine, batch: int, count: int) -> dict[str, int]:
    """The stages' times in the fastest of ``ROUNDS`` rounds, and their sum."""
    wanted = asks(batch, count)
    engine.recommend(wanted)
    rounds = [{t.stage: t.microseconds for t in engine.recommend(wanted)[0].stages} for _ in range(ROUNDS)]
    best = min(rounds, key=lambda stages: sum(stages.values()))
    return {**best, "all": sum(best.values()), "a_slate": sum(best.values()) // batch}


def main(bundle: Path = DEMO, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Measure, and print a table or JSON."""
    rows = measure(bundle)
    if as_json:
        json.dump({**circumstances(), "result": rows}, sys.stdout, indent=2)
        return
    print("  ".join(f"{name:>9}" for name in rows[0]))
    for row in rows:
        print("  ".join(f"{value:>9,}" for value in row.values()))


if __name__ == "__main__":
    typer.run(main)
