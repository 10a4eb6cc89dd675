"""What the ranker is taught by one batch: the order of a list, honest probabilities, and retrieval."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.config import Plan
from training.lists import Examples
from training.model import NEVER, Ranker
from training.vectors import Vectors


class Tensors(NamedTuple):
    """One batch as the model reads it. ``history`` and ``candidates`` are rows of the vectors, -1 for padding."""

    history: Tensor
    kinds: Tensor
    gaps: Tensor
    candidates: Tensor
    features: Tensor
    heads: Tensor
    proposed: Tensor
    choice_set: Tensor

    def of(self, rows: Tensor) -> "Tensors":
        """Those of ``rows`` alone."""
        return Tensors(*(each[rows] for each in self))


def split(examples: Examples, size: int) -> Iterator[Tensors]:
    """A replayed batch in steps of ``size``."""
    for start in range(0, len(examples.heads), size):
        part = slice(start, start + size)
        history = examples.history
        yield Tensors(
            torch.from_numpy(history.rows[part]).long(),
            torch.from_numpy(history.kinds[part]),
            torch.from_numpy(history.gaps[part]),
            torch.from_numpy(examples.candidates[part]).long(),
            torch.from_numpy(examples.features[part]),
            torch.from_numpy(examples.heads[part]),
            torch.from_numpy(examples.proposed[part]),
            torch.from_numpy(examples.choice_set[part]),
        )


def losses(ranker: Ranker, vectors: Vectors, part: Tensors, plan: Plan, rng: torch.Generator) -> Tensor:
    """The weighted sum of the three. The history is encoded once for all of them.

    An answer that no source proposed teaches retrieval alone: beside candidates of good sources it would teach that
    good signs are bad ones.
    """
    past = vectors(part.history)
    history = ranker.encode(past, part.kinds, part.gaps)
    query = ranker.query_of(history)
    found = retrieved(query, vectors, part.candidates[:, 0], plan.catalogue_negatives, rng)
    rows = part.proposed.nonzero()[:, 0]
    if not len(rows):
        return plan.retrieval_weight * found
    some = part.of(rows)
    logits = ranker.score(history.of(rows), past[rows], vectors(some.candidates), some.features)
    return ordered(logits, some, plan) * (len(rows) / len(past)) + plan.retrieval_weight * found


def ordered(logits: Tensor, part: Tensors, plan: Plan) -> Tensor:
    """The order of the lists, and honest probabilities."""
    return listed(logits, part) + plan.probability_weight * probable(logits, part)


def listed(logits: Tensor, part: Tensors) -> Tensor:
    """Softmax over what the shopper could choose from, by the head that the event teaches."""
    mine = of_head(logits, part.heads).masked_fill(~part.choice_set, NEVER)
    return nn.functional.cross_entropy(mine, torch.zeros(len(mine), dtype=torch.long))


def probable(logits: Tensor, part: Tensors) -> Tensor:
    """Binary cross-entropy, so that the heads' probabilities can be added up and weighed against each other.

    A list that led to a click teaches the cart and purchase heads too: so far nothing of it was put into the cart. An
    item bought says nothing against having been clicked, so the heads before the one taught learn nothing from it.
    """
    every = torch.arange(len(logits))
    truth = torch.zeros_like(logits)
    truth[every, 0, part.heads] = 1.0
    counts = part.choice_set[:, :, None].repeat(1, 1, logits.shape[2])
    counts[:, 0] &= torch.arange(logits.shape[2])[None, :] >= part.heads[:, None]
    each = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1.0)


def retrieved(query: Tensor, vectors: Vectors, answers: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Softmax of the answer against the whole catalogue; beyond ``most`` items against so many, drawn evenly."""
    if len(vectors) <= most:
        return nn.functional.cross_entropy(query @ vectors.whole().T, answers)
    drawn = torch.randint(len(vectors), (most,), generator=rng)
    own = (query * vectors(answers)).sum(-1, keepdim=True)
    others = (query @ vectors(drawn).T).masked_fill(drawn[None, :] == answers[:, None], NEVER)
    return nn.functional.cross_entropy(torch.cat([own, others], -1), torch.zeros(len(own), dtype=torch.long))


def of_head(logits: Tensor, heads: Tensor) -> Tensor:
    """Logits [B, N, heads] -> [B, N]: those of one head each."""
    return logits[torch.arange(len(logits)), :, heads]
