"""What the benchmarks assert of themselves: no figure of a GPU without one; the floor is the model's own products."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from benchmarks.products import Floor, products
from benchmarks.ranking import CANDIDATES, HISTORY, size_of, vector_dim, write_ranker

ROOT = Path(__file__).parents[2]


def test_without_a_gpu_nothing_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not measured: the model would run on CPUExecutionProvider: this needs a GPU")


def test_the_floor_has_the_models_products(tmp_path: Path) -> None:
    """Exactly the products with weights that the exported graph has: none is missing, none is there twice."""
    size = size_of(32, 2)
    wanted = products(size, vector_dim(size), HISTORY, CANDIDATES)
    graph = onnx.load_model(write_ranker(size, tmp_path)).graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    right = [node.input[1] for node in graph.node if node.op_type == "MatMul"]
    own = [weights[name] for name in right if name in weights]
    item = [(vector_dim(size), size.dim)] * 2  # stretched as the model is loaded, so no constants of the file
    assert sorted(own + item) == sorted((one.k, one.n) for one in wanted if one.weights)
    assert sum(one.flops for one in wanted) == pytest.approx(2.1e7, rel=0.5)
    Floor(wanted).run()
