"""The mean of weights along the way: which steps it is of, and that it can be looked at and left."""

import pytest
import torch
from torch import nn

from training.averaging import ETA, Averaged


def along(path: list[float]) -> tuple[Averaged, nn.Parameter]:
    """A parameter that went that way, and its mean."""
    weight = nn.Parameter(torch.tensor([9.0]))
    averaged = Averaged([weight])
    for value in path:
        weight.data.fill_(value)
        averaged.add()
    return averaged, weight


def test_the_first_step_replaces_what_was_there() -> None:
    averaged, weight = along([3.0])
    with averaged.in_place():
        assert weight.item() == 3.0


def test_before_any_step_it_is_what_was_there() -> None:
    averaged, weight = along([])
    with averaged.in_place():
        assert weight.item() == 9.0


def test_it_follows_a_drift_at_a_tenth_of_the_way_and_evens_out_what_goes_to_and_fro() -> None:
    steps = 2000
    averaged, weight = along([float(step) for step in range(steps)])
    with averaged.in_place():
        assert weight.item() == pytest.approx(steps * (1.0 - 1.0 / (ETA + 2.0)), rel=0.01)
    averaged, weight = along([(-1.0) ** step for step in range(steps)])
    with averaged.in_place():
        assert abs(weight.item()) < 0.01


def test_a_look_leaves_everything_as_it_was_even_if_it_fails() -> None:
    averaged, weight = along([1.0, 2.0, 3.0])
    with pytest.raises(ZeroDivisionError), averaged.in_place():
        raise ZeroDivisionError
    assert weight.item() == 3.0
    averaged.swap()
    assert 1.0 < weight.item() < 3.0
    averaged.swap()
    assert weight.item() == 3.0
