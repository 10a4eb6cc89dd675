"""The learning rate along the way."""

import torch
from torch.optim.lr_scheduler import LambdaLR


def paced(optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    """Up over the first tenth of ``steps``, then in a straight line down to 0."""
    return LambdaLR(optimizer, lambda step: _share(step, max(1, steps)))


def _share(step: int, steps: int) -> float:
    rising = max(1, steps // 10)
    return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))
