"""Where and when a benchmark ran, and its result as a file in docs/benchmarks."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"


def circumstances() -> dict[str, Any]:
    """Date, commit, machine: without them a figure says nothing."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "machine": f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {cpu_name()}",
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def save(name: str, result: Any) -> Path:
    """Write ``docs/benchmarks/<name>.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_bytes(
        orjson.dumps({**circumstances(), "result": result}, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
        + b"\n"
    )
    return path
