"""A training whose numbers are none any more: where that was seen, and the likely cause."""

import math

import torch
from torch import Tensor, nn

from contracts.errors import Diverged, Reason, Unacceptable


def checked(loss: Tensor, where: str, cause: str) -> float:
    """The loss as a number. Raises: Diverged."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise Diverged(f"the loss is {value}", where, cause)
    return value


def clipped(model: nn.Module, most: float, where: str, cause: str) -> None:
    """Shorten the gradient to ``most``. Raises: Diverged, before a gradient that is none reaches the weights."""
    norm = nn.utils.clip_grad_norm_(model.parameters(), most)
    if not torch.isfinite(norm):
        raise Diverged(f"the gradient is {norm.item()}", where, cause)


def check_vectors(text: Tensor) -> None:
    """Raises: Unacceptable, where an item's text has no finite vector [items, dim]."""
    wrong = int((~torch.isfinite(text)).any(-1).sum())
    if wrong:
        said = f"the text vectors of {wrong:,} of {len(text):,} items are not finite: the encoder's weights are broken"
        raise Unacceptable(Reason.NOT_APPLICABLE, f"{said}; give another --encoder, or none to have one made here")
