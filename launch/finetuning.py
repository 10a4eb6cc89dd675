"""Fine-tuning from files to a bundle: read, split, tune, export, measure what was exported beside the plain answers."""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from contracts.bundle import Bundle, Figure, TrainingFacts
from contracts.errors import Reason, Unacceptable
from contracts.ngrams import ngrams
from contracts.pairs import Pair
from contracts.precision import Precision
from contracts.settings import ModelSettings
from contracts.whole_folder import replaced
from export.heads import export_head
from inference.heads import Head as Served
from training.class_metrics import class_figures, macro_f1
from training.config import figures
from training.encoder_memory import finetuning_needs
from training.hashed_ngrams import HashedNgrams, Learned, Texts, learn_ngrams
from training.head import (
    HEAD,
    Example,
    Head,
    HeadPlan,
    Predict,
    Scores,
    Task,
    Tuned,
    begin,
    fine_tune,
    for_given,
    save_head,
    scores,
)
from training.labelled import Columns, Parts, read_labelled, split_labelled
from training.memory import available_memory, check_memory
from training.ngrams import answer, class_numbers
from training.shrinkage import kept_share
from training.telling import Say, Step, silent

PROBES = 48
AT_ONCE = 256
LESS = "a smaller encoder (--encoder, --dim), shorter texts (--max-tokens), fewer rows"

Numbers = NDArray[np.float64]
Measure = Callable[[Bundle], tuple[Figure, ...]]


class Order(NamedTuple):
    """What is wanted of a fine-tuning. ``start``: a local BERT-family folder; None: a new one, from these texts."""

    out: Path
    name: str
    plan: HeadPlan
    say: Say
    start: Path | None = None
    checkpoint: Path | None = None
    variants: tuple[Precision, ...] = ()
    keep_slow: bool = False
    step: Step = silent
    any_memory: bool = False

    @property
    def paced(self) -> HeadPlan:
        """The plan, for the encoder at hand."""
        return for_given(self.plan) if self.start else self.plan

    def check_memory(self, pairs: Sequence[Pair], classes: int = 0) -> None:
        """Before anything is learned from ``pairs``. Raises: EnvironmentRefused."""
        if not self.any_memory:
            check_memory(finetuning_needs(pairs, classes, self.plan, self.start), available_memory(), LESS)


def classify(paths: Sequence[Path], columns: Columns, positive: str | None, order: Order) -> Bundle:
    """A classifier's bundle. ``positive``: the class that is asked for; None: the last one, where there are two.

    Raises: Unreadable, Unacceptable, EnvironmentRefused, ExportRefused.
    """
    parts = split_labelled(read_labelled(paths, columns))
    labels = sorted({row.label for row in parts.learn})
    asked = _positive(labels, positive)
    order.say(f"{sizes_of(parts[:3])} texts, split by {parts.by}; classes {', '.join(labels)}")
    learn, choose = (Texts([row.text for row in part], class_numbers(part, labels)) for part in parts[:2])
    order.check_memory(pairs_of(learn.texts), len(labels))
    plainly = learn_ngrams(learn, choose, len(labels), order.say)
    bert, tokenizer = begin(learn.texts, order.plan, order.start, order.say, order.step)
    beside = Beside(choose, logits_of(plainly.module, choose.texts))
    tuned = fine_tune(bert, tokenizer, _class_task(learn, plainly, beside), order.paced, order.say, order.step)
    found = scores(tuned.model, tokenizer, pairs_of(choose.texts))
    share = beside.kept_of(found)
    order.say(f"{share:.0%} of what the encoder adds to the n-grams is more than chance on validation")
    tuned.shrunk(share)
    judged = {"validation_macro_f1": beside.score(lambda _: share * found), "encoder_share": share}
    facts = _facts(paths, order.plan.seed, len(parts.learn), judged)
    head = Head(
        kind="classifier", outputs=tuple(labels), max_tokens=limit_of(tuned), facts=facts,
        probes=tuple(pairs_of(choose.texts[:PROBES])),
    )  # fmt: skip
    made = Made(head, tuned, plainly.module)
    return exported(made, order, lambda bundle: _class_figures(bundle, parts, labels, asked, order.say))


class Beside(NamedTuple):
    """Texts to choose on, and what the n-grams alone make of them: logits [n, classes]."""

    choose: Texts
    logits: Numbers

    def score(self, predict: Predict) -> float:
        """Macro F1 of both together."""
        both = self.logits + predict(pairs_of(self.choose.texts))
        return macro_f1(np.asarray(both.argmax(axis=1), np.int64), self.choose.truth)

    def kept_of(self, found: Scores) -> float:
        """How much of ``found`` [n, classes] is worth adding, by log loss; of texts whose class was learned."""
        rows = np.flatnonzero(self.choose.truth >= 0)
        truth = self.choose.truth[rows]

        def losses(share: float) -> Numbers:
            logs = log_softmax(self.logits[rows] + share * found[rows], axis=1)
            return -np.asarray(logs[np.arange(len(rows)), truth])

        return kept_share(losses, np.arange(len(rows)))


def pairs_of(texts: Sequence[str]) -> list[Pair]:
    """Texts alone."""
    return [Pair(text) for text in texts]


def logits_of(module: HashedNgrams, texts: Sequence[str]) -> Numbers:
    """[n, classes], by PyTorch, a few texts at a time: they are padded to the longest."""
    runs = [texts[at : at + AT_ONCE] for at in range(0, len(texts), AT_ONCE)]
    with torch.no_grad():
        found = [module(*map(torch.from_numpy, ngrams(run))).numpy() for run in runs]
    return np.concatenate(found).astype(np.float64)


def _class_task(learn: Texts, plainly: Learned, beside: Beside) -> Task:
    rows = zip(pairs_of(learn.texts), learn.truth.tolist(), plainly.forward.tolist(), strict=True)
    examples = [Example(pair, float(number), tuple(logits)) for pair, number, logits in rows]
    return Task(plainly.forward.shape[1], examples, beside.score)


def _class_figures(
    bundle: Bundle, parts: Parts, labels: Sequence[str], positive: int | None, say: Say
) -> tuple[Figure, ...]:
    truth = class_numbers(parts.test, labels)
    say("measuring the exported model, and a regression on character n-grams")
    found = Served(bundle, ModelSettings()).scores(pairs_of([row.text for row in parts.test]))
    most = Counter(row.label for row in parts.learn).most_common(1)[0][0]
    plainly = answer(parts.learn, parts.choose, [row.text for row in parts.test], labels, macro_f1)
    return (
        *class_figures("test", np.asarray(found.argmax(axis=1), np.int64), truth, positive),
        *class_figures("ngrams", plainly, truth, positive),
        *class_figures("majority", np.full(len(truth), labels.index(most)), truth, positive),
        Figure(name="test_texts", value=float(len(truth))),
    )


class Made(NamedTuple):
    """What is to be exported."""

    head: Head
    tuned: Tuned
    beside: HashedNgrams | None = None


def exported(made: Made, order: Order, measure: Measure) -> Bundle:
    """The bundle, with the figures that ``measure`` reads from its own file. Raises: ExportRefused."""
    with TemporaryDirectory() as scratch:
        folder = order.checkpoint or Path(scratch)
        with replaced(folder, HEAD) as part:
            save_head(part, *made)
        return export_head(
            folder, order.out, order.name, order.say, order.variants, measure, order.keep_slow
        )  # fmt: skip


def _positive(labels: Sequence[str], positive: str | None) -> int | None:
    if positive is None:
        return len(labels) - 1 if len(labels) == 2 else None
    if positive not in labels:
        raise Unacceptable(Reason.INVALID_FIELD, f"no class {positive!r}; there are {', '.join(labels)}")
    return labels.index(positive)


def _facts(paths: Sequence[Path], seed: int, texts: int, values: dict[str, float]) -> TrainingFacts:
    whole = sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(file_digest(file, "sha256").digest())
    return TrainingFacts(
        data_digest=whole.hexdigest(), events=texts, shoppers=0, items=0, seed=seed, metrics=figures(values)
    )


def limit_of(tuned: Tuned) -> int:
    """Tokens of the longest text that is read whole."""
    return int((tuned.tokenizer.truncation or {})["max_length"])


def sizes_of(parts: Sequence[Sequence[object]]) -> str:
    """How many there are of each part, in words."""
    learn, choose, test = (len(part) for part in parts)
    return f"{learn:,} + {choose:,} + {test:,}"
