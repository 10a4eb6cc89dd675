"""What the ranker is taught by one batch: the order of a list, honest probabilities, and retrieval."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.config import Plan
from training.lists import NO_HEAD, Examples
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
    outcomes: Tensor

    def of(self, rows: Tensor) -> "Tensors":
        """Those of ``rows`` alone."""
        return Tensors(*(each[rows] for each in self))

    def on(self, device: torch.device) -> "Tensors":
        """The same, where the model is."""
        return Tensors(*(each.to(device) for each in self))


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
            torch.from_numpy(examples.outcomes[part]),
        )


def losses(ranker: Ranker, vectors: Vectors, part: Tensors, plan: Plan, rng: torch.Generator) -> Tensor:
    """The weighted sum of all. The history is encoded once for all of them.

    An answer that no source proposed teaches retrieval alone: beside candidates of good sources it would teach that
    good signs are bad ones. What teaches no head of the order teaches no retrieval either.
    """
    past = vectors(part.history)
    history = ranker.encode(past, part.kinds, part.gaps)
    asked = part.heads != NO_HEAD
    rows = (part.proposed | ~asked).nonzero()[:, 0]
    answers = part.candidates[:, 0][asked]
    loss = _retrieval(ranker.query_of(history)[asked], vectors, answers, plan, rng)
    if not len(rows):
        return loss
    some = part.of(rows)
    read = ranker.read(history.of(rows), past[rows], vectors(some.candidates), some.features)
    order = ordered(ranker.order(read)[some.proposed], some.of(some.proposed), plan)
    shown = int(some.proposed.sum()) / len(past)
    return order * shown + loss + came(ranker.outcome(read.answers())[:, 0], some.outcomes)


def _retrieval(query: Tensor, vectors: Vectors, answers: Tensor, plan: Plan, rng: torch.Generator) -> Tensor:
    """Weighted; 0 where nothing is asked."""
    if not len(query):
        return query.sum()
    return plan.retrieval_weight * retrieved(query, vectors, answers, plan.catalogue_negatives, rng)


def came(logits: Tensor, outcomes: Tensor) -> Tensor:
    """Binary cross-entropy of what came of the answers [B, outcome heads], as far as it is known (NaN where not)."""
    known = torch.isfinite(outcomes)
    each = nn.functional.binary_cross_entropy_with_logits(logits, outcomes.nan_to_num(), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def ordered(logits: Tensor, part: Tensors, plan: Plan) -> Tensor:
    """The order of the lists, and honest probabilities."""
    return listed(logits, part) + plan.probability_weight * probable(logits, part)


def listed(logits: Tensor, part: Tensors) -> Tensor:
    """Softmax over what the shopper could choose from, by the head that the event teaches; 0 where nothing is asked."""
    mine = of_head(logits, part.heads).masked_fill(~part.choice_set, NEVER)
    first = torch.zeros(len(mine), dtype=torch.long, device=mine.device)
    return nn.functional.cross_entropy(mine, first) if len(mine) else mine.sum()


def probable(logits: Tensor, part: Tensors) -> Tensor:
    """Binary cross-entropy, so that the heads' probabilities can be added up and weighed against each other.

    A list that led to a click teaches the cart and purchase heads too: so far nothing of it was put into the cart. An
    item bought says nothing against having been clicked, so the heads before the one taught learn nothing from it.
    """
    every = torch.arange(len(logits), device=logits.device)
    truth = torch.zeros_like(logits)
    truth[every, 0, part.heads] = 1.0
    counts = part.choice_set[:, :, None].repeat(1, 1, logits.shape[2])
    counts[:, 0] &= torch.arange(logits.shape[2], device=logits.device)[None, :] >= part.heads[:, None]
    each = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1.0)


def retrieved(query: Tensor, vectors: Vectors, answers: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Softmax of the answer against the whole catalogue; beyond ``most`` items against so many, drawn evenly.

    Drawn evenly, every item's log Q is the same and cancels in the sampled softmax (Bengio and Senecal, 2008).
    """
    if len(vectors) <= most:
        return nn.functional.cross_entropy(query @ vectors.whole().T, answers)
    drawn = torch.randint(len(vectors), (most,), generator=rng).to(query.device)  # the same on every device
    own = (query * vectors(answers)).sum(-1, keepdim=True)
    others = (query @ vectors(drawn).T).masked_fill(drawn[None, :] == answers[:, None], NEVER)
    first = torch.zeros(len(own), dtype=torch.long, device=own.device)
    return nn.functional.cross_entropy(torch.cat([own, others], -1), first)


def of_head(logits: Tensor, heads: Tensor) -> Tensor:
    """Logits [B, N, heads] -> [B, N]: those of one head each."""
    return logits[torch.arange(len(logits), device=logits.device), :, heads]
