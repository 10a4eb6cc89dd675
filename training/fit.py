"""The ranker fitted to replayed examples: the first part of the log teaches, the last part says when to stop."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor, nn

from contracts.errors import Reason, Unacceptable
from training.chunks import Chunks
from training.config import Plan
from training.lists import Examples
from training.losses import losses, of_head, split
from training.memory import CELLS, JUDGED
from training.metrics import Ranked, measure
from training.model import Ranker
from training.plain_fit import PASSES, PlainFit
from training.run_folder import Progress, RunFolder
from training.vectors import Vectors

Say = Callable[[str], None]
#: Hears what is being done, how much of it is done, and how much there is.
Step = Callable[[str, int, int], None]

CLIP = 1.0
TAUGHT = 0.1  # of the learning rate, for what the first lesson taught
SAMPLED_CHUNKS = 50
RANKING = ("ranker.straight.", "ranker.wide.", "ranker.light.", "ranker.heads.")  # what turns a state into logits
RETRIEVAL = "validation_retrieval"
LONGEST_WARMUP = 0.1  # of all steps: a small log has few
LEAST_SCALE = 1e-2
UNKNOWN_SCALE = 1e3  # of a feature that never varied: nothing was learned of it, so what it says later is made small


class Fitted(NamedTuple):
    """The best epoch's weights, and its figures on validation."""

    ranker: Ranker
    vectors: Vectors
    metrics: dict[str, float]


def fit(
    learn: Chunks, check: Chunks, text: Tensor, plan: Plan, folder: RunFolder, blend: Mapping[str, float], say: Say,
    step: Step,
) -> Fitted:  # fmt: skip
    """First the features alone, then epoch after epoch of the whole, judged by ``check``, each kept in ``folder``.

    What is chosen is the best, and the features alone are one of the choices: then retrieval keeps what its epochs
    taught. Then all of that is done once more with ``check`` among what teaches, for as long as was best, unless the
    plan says no.

    ``blend``: the weighted features that a model has to beat.

    Raises:
        Unacceptable: there is nothing to learn from, or the loss is no number any more.
    """
    if not learn or not check:
        raise Unacceptable(Reason.NOT_APPLICABLE, _too_short(learn, check))
    kept, progress = folder.load()
    if progress.again is None:
        fitting = Fitting(text, plan, learn)
        if kept:
            fitting.load(kept)
            say(f"going on after epoch {progress.epochs}")
        progress = _choose(fitting, progress, learn, check, folder, blend, say, step)
        if not plan.refit:
            return fitting.best(progress)
    return _refit(Fitting(text, plan, learn + check), kept, progress, learn + check, folder, blend, say, step)


def _choose(
    fitting: "Fitting", progress: Progress, learn: Chunks, check: Chunks, folder: RunFolder, blend: Mapping[str, float],
    say: Say, step: Step,
) -> Progress:  # fmt: skip
    """How long is best, by what judges."""
    plan = fitting.plan
    if progress.best < 0.0:
        progress = fitting.first_lesson(learn, check, blend, say, step)
        folder.save(fitting.tensors(), progress)
    while progress.epochs < plan.epochs and progress.since_best < plan.patience:
        loss = fitting.epoch(learn, progress.epochs, step)
        found = measure(fitting.answer, check, blend)
        progress = fitting.judged(progress, found.ndcg, found.figures())
        folder.save(fitting.tensors(), progress)
        say(f"epoch {progress.epochs} of {plan.epochs}: loss {loss:.4f}, NDCG@10 {found.ndcg:.4f} (features alone "
            f"{found.blend_ndcg:.4f}, popularity {found.popularity_ndcg:.4f})")  # fmt: skip
    return progress


def _refit(
    fitting: "Fitting", kept: Mapping[str, Tensor], progress: Progress, every: Chunks, folder: RunFolder,
    blend: Mapping[str, float], say: Say, step: Step,
) -> Fitted:  # fmt: skip
    """From the beginning, with all there is, for as long as was chosen: its figures are those of the choice."""
    epochs = progress.chosen or fitting.plan.epochs
    if progress.again is None:
        ranks = "" if progress.chosen else " for retrieval, as the features alone rank best"
        say(f"once more with all of it: {progress.passes} passes of the features alone, {epochs} epochs{ranks}")
        fitting.lesson(every, progress.passes, blend, step)
    else:
        fitting.load(kept)
        say(f"going on with all of it after epoch {progress.again}")
    for done in range(progress.again or 0, epochs):
        folder.save(fitting.tensors(), replace(progress, again=done))
        loss = fitting.epoch(every, done, step)
        say(f"epoch {done + 1} of {epochs} with all of it: loss {loss:.4f}")
    return fitting.last(progress)


class Fitting:
    """A ranker on its way, with all that a later start needs to go on from here."""

    def __init__(self, text: Tensor, plan: Plan, learn: Chunks) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.vectors = Vectors(text, plan.ranker.delta_dim)
        self.ranker = Ranker(plan.ranker, text.shape[1] + plan.ranker.delta_dim)
        standardise(self.ranker, learn)
        self._model = nn.ModuleDict({"ranker": self.ranker, "vectors": self.vectors})
        plain = self.ranker.plain_parameters()
        taught = {id(parameter) for parameter in plain}
        rest = [parameter for parameter in self._model.parameters() if id(parameter) not in taught]
        self._optimizer = torch.optim.AdamW(
            [{"params": rest, "share": 1.0}, {"params": plain, "share": TAUGHT}], lr=plan.learning_rate,
            weight_decay=0.01,
        )  # fmt: skip
        self._best = self._weights()

    def first_lesson(self, learn: Chunks, check: Chunks, blend: Mapping[str, float], say: Say, step: Step) -> Progress:
        """Teach the features alone; what comes after has to be better."""
        plain = PlainFit(self.ranker, self.plan, blend)
        plain.until_best(learn, check, lambda done: step("the features alone", done, PASSES))
        found = measure(self.answer, check, blend)
        say(f"the features alone: NDCG@10 {found.ndcg:.4f} (blended by hand {found.blend_ndcg:.4f})")
        self._best = self._weights()
        return Progress(best=found.ndcg, figures=found.figures(), passes=plain.best_pass)

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
            loss = losses(self.ranker, self.vectors, part, self.plan, torch.default_generator)
            if not torch.isfinite(loss):
                raise self._diverged(loss.item(), done, number, part.features)
            self._descend(loss, number * steps + done, self.plan.epochs * steps)
            total += loss.item()
            step(f"epoch {number + 1}: loss {total / (done + 1):.3f}", done + 1, steps)
        return total / steps

    def _diverged(self, loss: float, step: int, epoch: int, features: Tensor) -> Unacceptable:
        rate = f"the learning rate ({self.plan.learning_rate}) is too high"
        cause = rate if torch.isfinite(features).all() else "a feature is not finite"
        kept = f"what was learned by epoch {epoch}" if epoch else "what the features alone taught"
        said = f"the loss is {loss} at step {step} of epoch {epoch + 1}: {cause}; {kept} is kept beside the checkpoint"
        return Unacceptable(Reason.NOT_APPLICABLE, said)

    def _descend(self, loss: Tensor, done: int, of: int) -> None:
        warmup = min(self.plan.warmup_steps, max(1, round(of * LONGEST_WARMUP)))
        rate = self.plan.learning_rate * min(1.0, (done + 1) / warmup) * (1.0 - done / of)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), CLIP)
        self._optimizer.step()

    def answer(self, examples: Examples) -> Ranked:
        """What the model makes of examples: its lists, and where in the whole catalogue it would find the answers."""
        self._model.eval()
        lists, places = [], []
        with torch.no_grad():
            whole = self.vectors.whole()
            for part in split(examples, JUDGED):
                past = self.vectors(part.history)
                history = self.ranker.encode(past, part.kinds, part.gaps)
                logits = self.ranker.score(history, past, self.vectors(part.candidates), part.features)
                lists.append(of_head(logits, part.heads).numpy())
                places.append(_among_all(self.ranker.query_of(history), part.candidates[:, :1], whole).numpy())
        return Ranked(np.concatenate(lists), np.concatenate(places))

    def judged(self, before: Progress, ndcg: float, figures: dict[str, float]) -> Progress:
        """The progress after one more epoch; its weights are kept if it is the best."""
        if ndcg <= before.best:
            kept = {} if before.chosen else {name: figures[name] for name in figures if name.startswith(RETRIEVAL)}
            return replace(
                before, epochs=before.epochs + 1, since_best=before.since_best + 1, figures=before.figures | kept
            )
        self._best = self._weights()
        return Progress(epochs=before.epochs + 1, best=ndcg, figures=figures, passes=before.passes)

    def best(self, progress: Progress) -> Fitted:
        """The best epoch so far."""
        if progress.chosen:
            self._model.load_state_dict(self._best)
        return self.last(progress)

    def last(self, progress: Progress) -> Fitted:
        """As it is now; where the features alone were chosen the rest is for retrieval, and adds nothing to them."""
        if not progress.chosen:
            lesson = {name: value for name, value in self._best.items() if name.startswith(RANKING)}
            self._model.load_state_dict(self._weights() | lesson)
        self._model.eval()
        return Fitted(self.ranker, self.vectors, progress.figures)

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name: the weights now, the best ones, and the optimizer's moments."""
        moments = {
            f"moment.{number}.{name}": value
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
        return {name: value.clone() for name, value in self._model.state_dict().items()}


def _among_all(queries: Tensor, answers: Tensor, whole: Tensor) -> Tensor:
    """[B], from 0: places of ``answers`` [B, 1] among all items, so few queries at once that memory stays as it is."""
    rows, places = max(1, CELLS // len(whole)), list[Tensor]()
    for some, own in zip(torch.split(queries, rows), torch.split(answers, rows), strict=True):
        scores = some @ whole.T
        places.append((scores >= scores.gather(1, own)).sum(-1) - 1)
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


def _too_short(learn: Chunks, check: Chunks) -> str:
    return (
        f"{sum(learn.lengths)} examples teach and {sum(check.lengths)} judge, and both are needed: the log is too "
        "short, or no shopper comes back in its last part"
    )
