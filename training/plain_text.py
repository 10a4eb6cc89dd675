"""What a pretrained encoder stands beside: how often each token is, and which tokens two texts share."""

from collections import Counter
from collections.abc import Sequence
from math import exp, log

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.latent import Weighing
from training.text_lessons import IGNORE, bags_of


def perplexity(bags: Sequence[Sequence[int]], vocabulary: int, hidden: Sequence[Tensor]) -> float | None:
    """Of the labels in ``hidden`` (``IGNORE`` elsewhere) by how often each is in ``bags``, all counted once more."""
    often = Counter(token for bag in bags for token in bag)
    every = sum(often.values()) + vocabulary
    asked = torch.cat([labels[labels != IGNORE] for labels in hidden]).tolist() if hidden else []
    return exp(-sum(log((often[token] + 1) / every) for token in asked) / len(asked)) if asked else None


def similarities(tokenizer: Tokenizer, bags: Sequence[Sequence[int]], pairs: Sequence[tuple[str, str]]) -> Tensor:
    """[n, n]: each first text of ``pairs`` with each second one, by the tokens they share; what is rare in ``bags``
    counts more."""
    weighing = Weighing(bags)
    left, right = (weighing.of(bags_of(tokenizer, [pair[side] for pair in pairs])) for side in (0, 1))
    return torch.from_numpy(np.asarray((left @ right.T).todense(), np.float32))
