"""Stars from files to a bundle: what the bias model lacks, learned from texts, as far as that is more than chance."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contracts.bundle import Bundle, Figure, TrainingFacts
from contracts.errors import Reason, Unacceptable
from contracts.settings import ModelSettings
from inference.heads import Head as Served
from inference.heads import biases_of
from launch.finetuning import PROBES, Made, Order, exported, limit_of, sizes_of
from training.bias import Fitted, Numbers, choose_biases, mae, means_of, plain, plain_forward, rmse, stars_of, within
from training.config import figures
from training.head import Example, Head, Predict, Scores, Task, begin, fine_tune, scores
from training.log import Log
from training.rated import Rated, RatedParts, split_rated
from training.shrinkage import kept_share

ROUNDS = 2000
RATING = "rating"


def rate(log: Log, order: Order) -> Bundle:
    """A regressor's bundle: what it says is added to the bias model's answer.

    Raises: Unacceptable, EnvironmentRefused, ExportRefused.
    """
    parts = split_rated(log.events, log.items)
    if not all(parts):
        raise Unacceptable(Reason.EMPTY, "too few rated reviews to learn from and to measure on")
    order.say(f"{sizes_of(parts)} ratings, split by time; the last are {_reviews(parts.test):,} reviews")
    order.check_memory([each.pair for each in parts.learn])
    residual = Residual(parts, choose_biases(parts.learn, parts.choose))
    bert, tokenizer = begin(
        [text for each in parts.learn for text in each.pair], order.plan, order.start, order.say, order.step
    )
    tuned = fine_tune(bert, tokenizer, residual.task(), order.paced, order.say, order.step)
    found = scores(tuned.model, tokenizer, [each.pair for each in parts.choose])
    share = residual.kept_of(found)
    order.say(f"{share:.0%} of what the texts add to the bias model is more than chance on validation")
    tuned.shrunk(share)
    facts = TrainingFacts(
        data_digest=log.digest, events=len(parts.learn), shoppers=len({each.user_id for each in parts.learn}),
        items=len({each.item_id for each in parts.learn}), seed=order.plan.seed,
        metrics=figures(residual.validation(share * found, share)),
    )  # fmt: skip
    head = Head(
        kind="regressor", outputs=(RATING,), max_tokens=limit_of(tuned), facts=facts,
        probes=tuple(each.pair for each in parts.choose[:PROBES]), biases=residual.fitted.biases,
    )  # fmt: skip
    return exported(Made(head, tuned), order, lambda bundle: rating_figures(bundle, parts))


class Residual(NamedTuple):
    """What the bias model lacks."""

    parts: RatedParts
    fitted: Fitted

    def task(self) -> Task:
        """To learn what is left, by biases that had not seen the rating."""
        learn = self.parts.learn
        left = stars_of(learn) - plain_forward(self.fitted, learn)
        return Task(1, [Example(one.pair, float(rest)) for one, rest in zip(learn, left, strict=True)], self._score)

    def kept_of(self, found: Scores) -> float:
        """How much of ``found`` [n, 1] is worth adding; one shopper's ratings are one witness."""
        truth = stars_of(self.parts.choose)
        _, shoppers = np.unique([each.user_id for each in self.parts.choose], return_inverse=True)
        return kept_share(lambda share: (self._whole(share * found) - truth) ** 2, shoppers)

    def validation(self, found: Scores, share: float) -> dict[str, float]:
        """The figures of validation, with ``found`` [n, 1] and without."""
        truth, fitted = stars_of(self.parts.choose), self.fitted
        return {
            "validation_rmse": rmse(self._whole(found), truth),
            "validation_bias_model_rmse": rmse(self._whole(np.zeros_like(found)), truth), "encoder_share": share,
            "damping_items": fitted.of_items, "damping_shoppers": fitted.of_shoppers,
        }  # fmt: skip

    def _score(self, predict: Predict) -> float:
        choose = self.parts.choose
        return -rmse(self._whole(predict([each.pair for each in choose])), stars_of(choose))

    def _whole(self, found: Scores) -> Numbers:
        return within(self.fitted.biases, plain(self.fitted.biases, self.parts.choose) + found[:, 0])


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


def _reviews(rated: Sequence[Rated]) -> int:
    return len({each.review for each in rated})
