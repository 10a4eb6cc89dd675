"""A step of learning, and the learning rate along the way."""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from training.diverged import checked, clipped


def descend(optimizer: torch.optim.Optimizer, model: nn.Module, loss: Tensor, where: str, cause: str) -> float:
    """One step; the loss as a number. Raises: Diverged, before a number that is none reaches the weights."""
    value = checked(loss, where, cause)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    clipped(model, 1.0, where, cause)
    optimizer.step()
    return value


def paced(optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """Up over the first tenth of ``steps``, then in a straight line down to 0."""
    return LambdaLR(optimizer, lambda step: _share(step, max(1, steps)))


def _share(step: int, steps: int) -> float:
    rising = max(1, steps // 10)
    return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))
