"""A ranker on its way: one epoch after the other, judged, and kept with all that a later start needs to go on."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor, nn

from contracts.errors import Diverged
from training.chunks import Chunks
from training.compute import precision
from training.config import Plan
from training.diverged import checked
from training.lists import Examples
from training.losses import Tensors, losses, of_head, split
from training.memory import CELLS, JUDGED
from training.metrics import Ranked, measure
from training.model import Ranker
from training.plain_fit import PASSES, PlainFit
from training.run_folder import Progress
from training.telling import Say, Step
from training.vectors import Vectors

CLIP = 1.0
TAUGHT = 0.1  # of the learning rate, for what the first lesson taught
SAMPLED_CHUNKS = 50
RANKING = ("ranker.straight.", "ranker.wide.", "ranker.light.", "ranker.heads.")  # what turns a state into logits
#: Figures of what the epochs teach where the features alone rank best.
BESIDE = ("validation_retrieval", "validation_rating", "validation_return_visit")
ALONE = "validation_features_alone_ndcg_at_10"
LONGEST_WARMUP = 0.1  # of all steps: a small log has few
LEAST_SCALE = 1e-2
UNKNOWN_SCALE = 1e3  # of a feature that never varied: nothing was learned of it, so what it says later is made small


class Fitted(NamedTuple):
    """The best epoch's weights, and its figures on validation."""

    ranker: Ranker
    vectors: Vectors
    metrics: dict[str, float]


class Said(NamedTuple):
    """What the model says of B examples: ``lists`` [B, N] by the heads taught, ``query`` [B, D].

    ``came`` [B, outcome heads], in 0..1: what is expected to come of the answers.
    """

    lists: Tensor
    came: Tensor
    query: Tensor


class Fitting:
    """A ranker on its way, with all that a later start needs to go on from here."""

    def __init__(self, text: Tensor, plan: Plan, learn: Chunks) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.device = plan, torch.device(plan.device)
        self.vectors = Vectors(text.cpu(), plan.ranker.delta_dim)
        self.ranker = Ranker(plan.ranker, text.shape[1] + plan.ranker.delta_dim)
        standardise(self.ranker, learn)
        self._model = nn.ModuleDict({"ranker": self.ranker, "vectors": self.vectors}).to(self.device)
        plain, outcomes = self.ranker.plain_parameters(), list(self.ranker.outcomes.parameters())
        apart = {id(parameter) for parameter in (*plain, *outcomes)}
        rest = [parameter for parameter in self._model.parameters() if id(parameter) not in apart]
        self._clipped = ([*rest, *plain], outcomes)  # apart, so that stars never shorten a step of the order
        self._optimizer = torch.optim.AdamW(
            [{"params": rest, "share": 1.0}, {"params": plain, "share": TAUGHT}, {"params": outcomes, "share": 1.0}],
            lr=plan.learning_rate, weight_decay=0.01,
        )  # fmt: skip
        self._best = self._weights()

    def first_lesson(self, learn: Chunks, check: Chunks, blend: Mapping[str, float], say: Say, step: Step) -> Progress:
        """Teach the features alone; what comes after has to be better."""
        plain = PlainFit(self.ranker, self.plan, blend)
        plain.until_best(learn, check, lambda done: step("the features alone", done, PASSES))
        found = measure(self.answer, check, blend)
        say(f"the features alone: NDCG@10 {found.ndcg:.4f} (blended by hand {found.blend_ndcg:.4f})")
        self._best = self._weights()
        figures = found.figures() | {ALONE: found.ndcg}
        return Progress(best=found.ndcg, figures=figures, passes=plain.best_pass)

    def lesson(self, every: Chunks, passes: int, blend: Mapping[str, float], step: Step) -> None:
        """Teach the features alone for so many passes, whatever comes of it."""
        plain = PlainFit(self.ranker, self.plan, blend)
        plain.so_often(every, passes, lambda done: step("the features alone", done, passes))
        self._best = self._weights()

    def epoch(self, learn: Chunks, number: int, step: Step) -> float:
        """One pass; the mean loss. What is drawn depends on the seed and the number of the epoch alone."""
        torch.manual_seed(self.plan.seed * 1_000_003 + number)
        order = np.random.default_rng([self.plan.seed, number]).permutation(len(learn)).tolist()
        steps = sum(-(-length // self.plan.batch) for length in learn.lengths)
        self._model.train()
        total = 0.0
        parts = itertools.chain.from_iterable(split(learn[chunk], self.plan.batch) for chunk in order)
        for done, part in enumerate(parts):
            with precision(self.device):
                loss = losses(self.ranker, self.vectors, part.on(self.device), self.plan, torch.default_generator)
            where, cause = f"at step {done} of epoch {number + 1}", self._cause(part.features)
            total += checked(loss, where, cause)
            self._descend(loss, number * steps + done, self.plan.epochs * steps)
            step(f"epoch {number + 1}: loss {total / (done + 1):.3f}", done + 1, steps)
        if not self._sane(learn[0]):
            raise Diverged("what it says is not finite", f"after epoch {number + 1}", self._too_fast)
        return total / steps

    def _sane(self, examples: Examples) -> bool:
        """Whether the last step left numbers: they can be finite themselves and say nothing finite any more."""
        self._model.eval()
        with torch.no_grad():
            said = (self._said(part) for part in self._parts(examples))
            return all(bool(torch.isfinite(each.lists).all() and torch.isfinite(each.query).all()) for each in said)

    def _parts(self, examples: Examples) -> Iterator[Tensors]:
        return (part.on(self.device) for part in split(examples, JUDGED))

    def _said(self, part: Tensors) -> Said:
        """Of one step's examples, in float32."""
        with precision(self.device):
            past = self.vectors(part.history)
            history = self.ranker.encode(past, part.kinds, part.gaps)
            read = self.ranker.read(history, past, self.vectors(part.candidates), part.features)
            lists = of_head(self.ranker.order(read), part.heads)
            came = self.ranker.outcome(read.answers())[:, 0].sigmoid()
            return Said(lists.float(), came.float(), self.ranker.query_of(history).float())

    @property
    def _too_fast(self) -> str:
        return f"the learning rate ({self.plan.learning_rate}) is too high"

    def _cause(self, features: Tensor) -> str:
        return self._too_fast if torch.isfinite(features).all() else "a feature is not finite"

    def _descend(self, loss: Tensor, done: int, of: int) -> None:
        warmup = min(self.plan.warmup_steps, max(1, round(of * LONGEST_WARMUP)))
        rate = self.plan.learning_rate * min(1.0, (done + 1) / warmup) * (1.0 - done / of)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameters in self._clipped:
            nn.utils.clip_grad_norm_(parameters, CLIP)
        self._optimizer.step()

    def answer(self, examples: Examples) -> Ranked:
        """What the model makes of examples: its lists, and where in the whole catalogue it would find the answers."""
        self._model.eval()
        lists, places, came = [], [], []
        with torch.no_grad():
            whole = self.vectors.whole()
            for part in self._parts(examples):
                said = self._said(part)
                lists.append(said.lists.cpu().numpy())
                came.append(said.came.cpu().numpy())
                places.append(among_all(said.query, part.candidates[:, :1], whole).cpu().numpy())
        return Ranked(*map(np.concatenate, (lists, places, came)))

    def judged(self, before: Progress, ndcg: float, figures: dict[str, float]) -> Progress:
        """The progress after one more epoch; its weights are kept if it is the best."""
        if ndcg <= before.best:
            kept = {} if before.chosen else {name: figures[name] for name in figures if name.startswith(BESIDE)}
            return replace(
                before, epochs=before.epochs + 1, since_best=before.since_best + 1, figures=before.figures | kept
            )
        self._best = self._weights()
        alone = {name: value for name, value in before.figures.items() if name == ALONE}
        return Progress(epochs=before.epochs + 1, best=ndcg, figures=figures | alone, passes=before.passes)

    def good(self, progress: Progress) -> Fitted:
        """The best that was kept, whatever came after it."""
        self._model.load_state_dict(self._best)
        return self.last(progress)

    def best(self, progress: Progress) -> Fitted:
        """The best epoch so far."""
        return self.good(progress) if progress.chosen else self.last(progress)

    def last(self, progress: Progress) -> Fitted:
        """As it is now; where the features alone were chosen the rest is for retrieval, and adds nothing to them."""
        if not progress.chosen:
            lesson = {name: value for name, value in self._best.items() if name.startswith(RANKING)}
            self._model.load_state_dict(self._weights() | lesson)
        self._model.eval().cpu()
        return Fitted(self.ranker, self.vectors, progress.figures)

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name: the weights now, the best ones, and the optimizer's moments."""
        moments = {
            f"moment.{number}.{name}": value.cpu()
            for number, state in self._optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }
        now = {f"now.{name}": value for name, value in self._weights().items()}
        return now | {f"best.{name}": value for name, value in self._best.items()} | moments

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what ``tensors`` gave."""
        self._model.load_state_dict(_under(tensors, "now."))
        self._best = _under(tensors, "best.")
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "moment.").items():
            number, moment = name.split(".")
            state.setdefault(int(number), {})[moment] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.to("cpu", copy=True) for name, value in self._model.state_dict().items()}


def among_all(queries: Tensor, answers: Tensor, whole: Tensor) -> Tensor:
    """[B], from 0: places of ``answers`` [B, 1] among all items, so few queries at once that memory stays as it is.

    Ties are pessimistic, and so is what is no number.
    """
    rows, places = max(1, CELLS // len(whole)), list[Tensor]()
    for some, own in zip(torch.split(queries, rows), torch.split(answers, rows), strict=True):
        scores = some @ whole.T
        places.append((~(scores < scores.gather(1, own))).sum(-1) - 1)
    return torch.cat(places)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def standardise(ranker: Ranker, learn: Sequence[Examples]) -> None:
    """Means and deviations of the features, from chunks over the whole time."""
    some = [learn[at] for at in range(0, len(learn), -(-len(learn) // SAMPLED_CHUNKS))]
    known = np.concatenate([batch.features[batch.candidates >= 0] for batch in some])
    ranker.means.copy_(torch.from_numpy(known.mean(0)))
    spread = known.std(0)
    ranker.scales.copy_(torch.from_numpy(np.where(spread > 0.0, np.maximum(spread, LEAST_SCALE), UNKNOWN_SCALE)))
