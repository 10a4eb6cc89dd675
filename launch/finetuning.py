"""Fine-tuning from files to a bundle: read, split, tune, export, measure what was exported beside the plain answers."""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from tokenizers import Tokenizer
from torch import nn

from contracts.bundle import Bundle, Figure, TrainingFacts
from contracts.errors import Reason, Unacceptable
from contracts.pairs import Pair
from contracts.precision import Precision
from contracts.settings import ModelSettings
from export.heads import export_head
from inference.heads import Head as Served
from inference.heads import biases_of
from training.bias import Fitted, Numbers, choose_biases, mae, means_of, plain, plain_forward, rmse, stars_of, within
from training.class_metrics import class_figures, macro_f1
from training.config import figures
from training.head import Example, Head, HeadPlan, Predict, Task, Tuned, begin, fine_tune, for_given, save_head
from training.labelled import Columns, Labelled, Parts, read_labelled, split_labelled
from training.log import Log
from training.ngrams import Classes, answer, class_numbers
from training.rated import Rated, RatedParts, split_rated

PROBES = 48
ROUNDS = 2000
RATING = "rating"

Say = Callable[[str], None]


class Order(NamedTuple):
    """What is wanted of a fine-tuning. ``start``: a local BERT-family folder; None: a new one, from these texts."""

    out: Path
    name: str
    plan: HeadPlan
    say: Say
    start: Path | None = None
    checkpoint: Path | None = None
    variants: tuple[Precision, ...] = ()

    @property
    def paced(self) -> HeadPlan:
        """The plan, for the encoder at hand."""
        return for_given(self.plan) if self.start else self.plan


def classify(paths: Sequence[Path], columns: Columns, positive: str | None, order: Order) -> Bundle:
    """A classifier's bundle. ``positive``: the class that is asked for; None: the last one, where there are two.

    Raises: Unreadable, Unacceptable, ExportRefused.
    """
    parts = split_labelled(read_labelled(paths, columns))
    labels = sorted({row.label for row in parts.learn})
    asked = _positive(labels, positive)
    order.say(f"{_sizes(parts[:3])} texts, split by {parts.by}; classes {', '.join(labels)}")
    bert, tokenizer = begin([row.text for row in parts.learn], order.plan, order.start, order.say)
    truth = class_numbers(parts.choose, labels)
    examples = [Example(Pair(row.text), float(labels.index(row.label))) for row in parts.learn]
    task = Task(len(labels), examples, lambda predict: macro_f1(_likeliest(predict, parts.choose), truth))
    tuned = fine_tune(bert, tokenizer, task, order.paced, order.say)
    facts = _facts(paths, order.plan.seed, len(parts.learn), {"validation_macro_f1": tuned.score})
    head = Head(
        kind="classifier", outputs=tuple(labels), max_tokens=_limit(tuned), facts=facts,
        probes=tuple(Pair(row.text) for row in parts.choose[:PROBES]),
    )  # fmt: skip
    return _exported(head, tuned, order, lambda bundle: _class_figures(bundle, parts, labels, asked, order.say))


def rate(log: Log, order: Order) -> Bundle:
    """A regressor's bundle: the stars themselves, or what the bias model lacks, whichever is better on validation.

    Raises: Unacceptable, ExportRefused.
    """
    parts = split_rated(log.events, log.items)
    if not all(parts):
        raise Unacceptable(Reason.EMPTY, "too few rated reviews to learn from and to measure on")
    order.say(f"{_sizes(parts)} ratings, split by time; the last are {_reviews(parts.test):,} reviews")
    fitted = choose_biases(parts.learn, parts.choose)
    texts = [text for each in parts.learn for text in each.pair]
    bert, tokenizer = begin(texts, order.plan, order.start, order.say)
    tried = [_tuned_rating(Residual(parts, fitted, on), bert, tokenizer, order) for on in (False, True)]
    best = max((0, 1), key=lambda on: tried[on].score)
    order.say("the residual of the bias model is predicted" if best else "the rating itself is predicted")
    facts = TrainingFacts(
        data_digest=log.digest, events=len(parts.learn), shoppers=len({each.user_id for each in parts.learn}),
        items=len({each.item_id for each in parts.learn}), seed=order.plan.seed,
        metrics=figures(_validation(tried, fitted, parts)),
    )  # fmt: skip
    head = Head(
        kind="regressor", outputs=(RATING,), max_tokens=_limit(tried[best]), facts=facts,
        probes=tuple(each.pair for each in parts.choose[:PROBES]), biases=replace(fitted.biases, residual=bool(best)),
    )  # fmt: skip
    return _exported(head, tried[best], order, lambda bundle: rating_figures(bundle, parts))


class Residual(NamedTuple):
    """One of the two ways to predict stars: ``on``, what the bias model lacks; else the stars themselves."""

    parts: RatedParts
    fitted: Fitted
    on: bool

    def given(self, rated: Sequence[Rated]) -> Numbers:
        """What is known without the model: the bias model's answer, or nothing."""
        return plain(self.fitted.biases, rated) if self.on else np.zeros(len(rated))

    def task(self) -> Task:
        """To learn what is left, by biases that had not seen the rating."""
        learn = self.parts.learn
        left = stars_of(learn) - (plain_forward(self.fitted, learn) if self.on else 0.0)
        examples = [Example(each.pair, float(target)) for each, target in zip(self.parts.learn, left, strict=True)]
        return Task(1, examples, self._score, 0.0 if self.on else float(left.mean()))

    def _score(self, predict: Predict) -> float:
        choose = self.parts.choose
        found = self.given(choose) + predict([each.pair for each in choose])[:, 0]
        return -rmse(within(self.fitted.biases, found), stars_of(choose))


def _tuned_rating(way: Residual, bert: nn.Module, tokenizer: Tokenizer, order: Order) -> Tuned:
    order.say("on the residual of the bias model" if way.on else "on the rating itself")
    return fine_tune(bert, tokenizer, way.task(), order.paced, order.say)


def _validation(tried: Sequence[Tuned], fitted: Fitted, parts: RatedParts) -> dict[str, float]:
    bias = within(fitted.biases, plain(fitted.biases, parts.choose))
    return {
        "validation_rating_rmse": -tried[0].score, "validation_residual_rmse": -tried[1].score,
        "validation_bias_model_rmse": rmse(bias, stars_of(parts.choose)),
        "damping_items": fitted.of_items, "damping_shoppers": fitted.of_shoppers,
    }  # fmt: skip


def rating_figures(bundle: Bundle, parts: RatedParts) -> tuple[Figure, ...]:
    """RMSE and MAE of the exported model and of the plain answers, and the difference to the best of them.

    The interval is of a bootstrap over shoppers: one shopper's ratings are no independent witnesses.
    """
    biases, test = biases_of(bundle), parts.test
    found = Served(bundle, ModelSettings()).scores([each.pair for each in test])[:, 0].astype(np.float64)
    bias = plain(biases, test)
    answers = {
        "test": within(biases, found + bias if biases.residual else found),
        "global_mean": np.full(len(test), biases.mean),
        "user_mean": means_of(parts.learn, test, lambda each: each.user_id),
        "item_mean": means_of(parts.learn, test, lambda each: each.item_id),
        "bias_model": within(biases, bias),
    }
    truth = stars_of(test)
    measured = {f"{name}_{what.__name__}": what(a, truth) for name, a in answers.items() for what in (rmse, mae)}
    low, high = difference(answers["test"], answers["bias_model"], truth, [each.user_id for each in test])
    spread = {"test_minus_bias_model_rmse_low": low, "test_minus_bias_model_rmse_high": high}
    sizes = {"test_ratings": float(len(test)), "test_reviews": float(_reviews(test))}
    return figures({**measured, **spread, **sizes, "residual": float(biases.residual)})


def difference(ours: Numbers, theirs: Numbers, truth: Numbers, owners: Sequence[str]) -> tuple[float, float]:
    """The 95% interval of RMSE(ours) - RMSE(theirs), shoppers drawn anew."""
    names, groups = np.unique(np.array(owners), return_inverse=True)
    sums = [np.bincount(groups, (each - truth) ** 2, len(names)) for each in (ours, theirs)]
    sizes = np.bincount(groups, minlength=len(names))
    drawn = np.random.default_rng(0).integers(0, len(names), (ROUNDS, len(names)))
    left, right = (np.sqrt(each[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)) for each in sums)
    low, high = np.quantile(left - right, (0.025, 0.975))
    return float(low), float(high)


def _class_figures(
    bundle: Bundle, parts: Parts, labels: Sequence[str], positive: int | None, say: Say
) -> tuple[Figure, ...]:
    truth = class_numbers(parts.test, labels)
    say("measuring the exported model, and a regression on character n-grams")
    found = _likeliest(Served(bundle, ModelSettings()).scores, parts.test)
    most = Counter(row.label for row in parts.learn).most_common(1)[0][0]
    plainly = answer(parts.learn, parts.choose, [row.text for row in parts.test], labels, macro_f1)
    return (
        *class_figures("test", found, truth, positive),
        *class_figures("ngrams", plainly, truth, positive),
        *class_figures("majority", np.full(len(truth), labels.index(most)), truth, positive),
        Figure(name="test_texts", value=float(len(truth))),
    )


def _likeliest(predict: Predict, rows: Sequence[Labelled]) -> Classes:
    return np.asarray(predict([Pair(row.text) for row in rows]).argmax(axis=1), np.int64)


def _exported(head: Head, tuned: Tuned, order: Order, measure: Callable[[Bundle], tuple[Figure, ...]]) -> Bundle:
    with TemporaryDirectory() as scratch:
        folder = order.checkpoint or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        save_head(folder, head, tuned)
        return export_head(folder, order.out, order.name, order.say, order.variants, measure)


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


def _limit(tuned: Tuned) -> int:
    return int((tuned.tokenizer.truncation or {})["max_length"])


def _reviews(rated: Sequence[Rated]) -> int:
    return len({each.review for each in rated})


def _sizes(parts: Sequence[Sequence[object]]) -> str:
    learn, choose, test = (len(part) for part in parts)
    return f"{learn:,} + {choose:,} + {test:,}"
