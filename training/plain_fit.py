"""The ranker's first lesson: the features alone, and the light order before it. It starts from a blend made by hand.

What is judged and kept is the mean of the weights along the way: after how many passes it is best is a noisy question,
and so the answer matters little.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from contracts.features import FEATURES, ORDER_HEADS
from training.averaging import Averaged
from training.compute import device_of
from training.config import Plan
from training.diverged import checked
from training.lists import Examples
from training.losses import Tensors, listed, of_head, ordered, split
from training.metrics import Ranked, measure
from training.model import Ranker

Passed = Callable[[int], None]

PASSES = 12
PATIENCE = 2
BATCH = 64
RATE = 2e-3


class PlainFit:
    """Teaches ``Ranker.plain`` and ``Ranker.light`` pass by pass and keeps the best one."""

    def __init__(self, ranker: Ranker, plan: Plan, blend: Mapping[str, float]) -> None:
        self._ranker, self._plan, self._blend = ranker, plan, blend
        _start(ranker, blend)
        self._device = device_of(ranker)
        self._optimizer = torch.optim.AdamW(ranker.plain_parameters(), lr=RATE, weight_decay=0.01)
        self._mean = Averaged(ranker.plain_parameters())
        self._best, self._since = -1.0, 0
        self._passes = self.best_pass = 0
        self._kept = self._weights()

    def until_best(self, learn: Sequence[Examples], check: Sequence[Examples], passed: Passed = lambda _: None) -> None:
        """Pass after pass until ``check`` says that it gets no better, then back to the best one.

        ``passed`` hears how many are done.
        """
        self._judged(check)
        for number in itertools.takewhile(lambda _: self._since < PATIENCE, range(PASSES)):
            self._once(learn, number)
            self._judged(check)
            passed(number + 1)
        self._finish()

    def so_often(self, learn: Sequence[Examples], passes: int, passed: Passed = lambda _: None) -> None:
        """So many passes, whatever comes of it."""
        for number in range(passes):
            self._once(learn, number)
            passed(number + 1)
        self._mean.swap()

    def _once(self, learn: Sequence[Examples], number: int) -> None:
        """One pass over the proposed answers; the rate falls from pass to pass."""
        order = np.random.default_rng([self._plan.seed, number, PASSES]).permutation(len(learn)).tolist()
        for group in self._optimizer.param_groups:
            group["lr"] = RATE * (1.0 - number / PASSES)
        for part in (part for chunk in order for part in split(learn[chunk], BATCH)):
            rows = part.proposed.nonzero()[:, 0]
            if len(rows):
                self._descend(part.of(rows).on(self._device))
        self._passes = number + 1

    def _descend(self, part: Tensors) -> None:
        scaled = self._ranker.standard(part.features)
        light = self._ranker.light(scaled).expand(-1, -1, len(ORDER_HEADS))
        loss = ordered(self._ranker.plain(scaled), part, self._plan) + listed(light, part)
        checked(loss, f"in pass {self._passes + 1} of the features alone", "a feature is not finite, or far too large")
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._mean.add()

    def answer(self, examples: Examples) -> Ranked:
        """The features' order of the lists. Of the whole catalogue they know nothing: its places are all first."""
        with torch.no_grad():
            lists = [
                of_head(self._ranker.plain(self._ranker.standard(part.features)), part.heads).cpu().numpy()
                for part in (part.on(self._device) for part in split(examples, BATCH))
            ]
        return Ranked(np.concatenate(lists), np.zeros(len(examples.heads), np.int64))

    def _judged(self, check: Sequence[Examples]) -> None:
        """Keep the mean of the weights if it is the best so far."""
        self._since += 1
        with self._mean.in_place():
            found = measure(self.answer, check, self._blend)
            if found.ndcg > self._best:
                self._best, self._since, self._kept = found.ndcg, 0, self._weights()
                self.best_pass = self._passes

    def _finish(self) -> None:
        """Go back to the best pass."""
        with torch.no_grad():
            for parameter, kept in zip(self._ranker.plain_parameters(), self._kept, strict=True):
                parameter.copy_(kept)

    def _weights(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self._ranker.plain_parameters()]


def _start(ranker: Ranker, blend: Mapping[str, float]) -> None:
    """What the blend says, as weights of standardised features."""
    weights = torch.tensor([blend.get(name, 0.0) for name in FEATURES]).to(ranker.scales) * ranker.scales
    with torch.no_grad():
        ranker.straight.weight.copy_(weights.expand_as(ranker.straight.weight))
        ranker.light.weight.copy_(weights.expand_as(ranker.light.weight))
