"""What the benchmarks assert of themselves: no figure of a GPU without one."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import CPU, Graph, Plan, measure
from benchmarks.products import products, query_products
from benchmarks.ranking import vector_dim
from contracts.bundle import RANKER, RETRIEVER
from contracts.features import HISTORY_INPUTS, RANKER_INPUTS
from contracts.precision import Precision
from export.golden import probes
from tests.trained import Trained
from training.config import PRESETS

ROOT = Path(__file__).parents[2]


def test_without_a_gpu_nothing_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not measured: the model would run on CPUExecutionProvider: this needs a GPU")


def graphs_of(trained: Trained) -> list[Graph]:
    bundle, size = trained.bundle, PRESETS["tiny"].ranker
    dim = bundle.manifest.vector_dim
    items = probes(dim).T
    return [
        Graph("ranker", Precision.FP16, bundle.read("ranker.fp16.onnx"), bundle.read(RANKER), RANKER_INPUTS, "logits",
              dim, sum(one.flops for one in products(size, dim, 20, 30)), lambda found: found[..., 0]),
        Graph("retriever", Precision.FP32, bundle.read(RETRIEVER), bundle.read(RETRIEVER), HISTORY_INPUTS, "query",
              dim, sum(one.flops for one in query_products(size, dim, 20)), lambda found: found @ items),
    ]  # fmt: skip


def test_what_is_measured_on_a_gpu_can_be_measured(trained: Trained) -> None:
    """The same measurement with a CPU's memory: every figure is there, and the answers are the CPU's own."""
    plan = Plan(CPU, "cpu", edge=32, runs=3, batches=(1, 9), most={"shoppers": 9, "history": 20, "candidates": 30})
    found = measure(graphs_of(trained), plan)
    ranker, retriever = found["models"]
    assert [(each["shapes"], each["kept_mib"] > 0, each["warm_up_seconds"] > 0) for each in found["models"]] == [
        (2, True, True), (2, True, True),
    ]  # fmt: skip
    for each in (*ranker["batches"], *retriever["batches"]):
        assert each["slates_per_second"] > 0 < each["share_of_peak"]
        assert each["p99_ms"] > 0
        assert each["top10_kept"] > 0.9
    assert 0 < max(each["max_abs_difference"] for each in ranker["batches"]) < 0.05
    assert max(each["max_abs_difference"] for each in retriever["batches"]) < 1e-4


@pytest.mark.parametrize("layers", [1, 3])
def test_a_query_needs_less_than_the_slate_that_it_is_for(layers: int) -> None:
    """By hand, for one event and one layer: the item, keys and values of two places, one row through the block."""
    size = PRESETS["small"].ranker
    dim, wide = size.dim, vector_dim(size)
    one = query_products(type(size)(layers=1), wide, 1)
    by_hand = dim * wide + 2 * 2 * dim * dim + 2 * 2 * dim + 2 * dim * 2 * dim + dim * wide
    assert sum(each.flops for each in one) == 2 * by_hand
    deep = type(size)(layers=layers)
    asked = sum(each.flops for each in query_products(deep, wide, 50))
    assert asked < sum(each.flops for each in products(deep, wide, 50, 100))
