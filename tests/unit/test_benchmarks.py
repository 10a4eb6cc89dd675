"""What the benchmarks assert of themselves: no figure of a GPU without one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_without_a_gpu_nothing_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not measured: the model would run on CPUExecutionProvider: this needs a GPU")
