"""Where a training computes. Without a GPU: fake tensors tell whether a step leaves anything behind on the CPU."""

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from contracts.errors import EnvironmentRefused
from contracts.features import FEATURES, OUTCOME_HEADS
from training.compute import chosen_device, device_of, precision, prepare
from training.config import PRESETS, RankerSize
from training.losses import Tensors, came, listed, losses, ordered, retrieved
from training.model import Ranker
from training.vectors import Vectors

SIZE = RankerSize(dim=16, layers=2, feature_dim=8, history_limit=6)
ITEMS, SHOPPERS, CANDIDATES = 12, 4, 5


def batch(device: str) -> Tensors:
    """What one step reads."""
    rng = torch.Generator().manual_seed(0)
    rows = torch.randint(ITEMS, (SHOPPERS, 6), generator=rng)
    return Tensors(
        rows, torch.ones_like(rows), torch.ones_like(rows), torch.randint(ITEMS, (SHOPPERS, CANDIDATES), generator=rng),
        torch.rand(SHOPPERS, CANDIDATES, len(FEATURES), generator=rng), torch.zeros(SHOPPERS, dtype=torch.long),
        torch.ones(SHOPPERS, dtype=torch.bool), torch.ones(SHOPPERS, CANDIDATES, dtype=torch.bool),
        torch.rand(SHOPPERS, len(OUTCOME_HEADS), generator=rng),
    ).on(torch.device(device))  # fmt: skip


def test_the_gpu_is_taken_where_there_is_one_and_missed_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (chosen_device("auto"), chosen_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(EnvironmentRefused, match="sees no GPU"):
        chosen_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (chosen_device("auto"), chosen_device("cpu"), chosen_device("cuda")) == ("cuda", "cpu", "cuda")


def test_the_cpu_computes_in_float32() -> None:
    device = prepare("cpu", 1)
    with precision(device):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert device_of(torch.nn.Linear(2, 2)) == device


@pytest.fixture
def fake_gpu() -> Iterator[FakeTensorMode]:
    """Tensors that say they are on a GPU, and refuse to meet one of the CPU."""
    with FakeTensorMode() as mode:
        yield mode


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_a_step_stays_on_the_gpu(fake_gpu: FakeTensorMode) -> None:
    plan, gpu = PRESETS["tiny"], torch.device("cuda")
    with gpu:
        ranker, vectors, part = Ranker(SIZE, 14), Vectors(torch.eye(ITEMS), 2), batch("cuda")
        vectors.text = vectors.text.to(gpu)
    with precision(gpu):
        past = vectors(part.history)
        history = ranker.encode(past, part.kinds, part.gaps)
        read = ranker.read(history, past, vectors(part.candidates), part.features)
        query = ranker.query_of(history)
        found = [
            ordered(ranker.order(read), part, plan), listed(ranker.order(read), part),
            came(ranker.outcome(read.answers())[:, 0], part.outcomes),
            *(retrieved(query, vectors, part.candidates[:, 0], most, torch.Generator()) for most in (ITEMS, 3)),
        ]  # fmt: skip
    assert [loss.device.type for loss in found] == ["cuda"] * len(found)


def test_a_fake_gpu_would_notice_what_stays_behind(fake_gpu: FakeTensorMode) -> None:
    with pytest.raises(RuntimeError, match=r"cuda.*cpu|cpu.*cuda"):
        torch.ones(2, device="cuda") + torch.ones(2)


def test_bfloat16_says_nearly_the_same() -> None:
    torch.manual_seed(0)
    ranker, vectors, part = Ranker(SIZE, 14).eval(), Vectors(torch.eye(ITEMS), 2).eval(), batch("cpu")
    exact = losses(ranker, vectors, part, PRESETS["tiny"], torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        rough = losses(ranker, vectors, part, PRESETS["tiny"], torch.Generator().manual_seed(0))
    rough.backward()
    assert all(torch.isfinite(p.grad).all() for p in ranker.parameters() if p.grad is not None)
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)
