"""The ranker fitted to replayed examples: the first part of the log teaches, the last part says when to stop."""

from collections.abc import Mapping

from msgspec.structs import replace
from torch import Tensor

from contracts.errors import Reason, Unacceptable
from training.chunks import Chunks
from training.config import Plan
from training.fitting import Fitted, Fitting
from training.metrics import measure
from training.run_folder import Progress, RunFolder
from training.telling import Say, Step


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
        Unacceptable: there is nothing to learn from.
        Diverged: a number is none any more; see ``last_good``.
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


def last_good(learn: Chunks, text: Tensor, plan: Plan, folder: RunFolder) -> Fitted | None:
    """The best that ``folder`` keeps of a training that diverged; None where nothing was learned before that."""
    kept, progress = folder.load()
    if not kept:
        return None
    fitting = Fitting(text, plan, learn)
    fitting.load(kept)
    return fitting.good(progress) if progress.again is None else fitting.last(progress)


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
        say(f"epoch {progress.epochs} of {plan.epochs}: loss {loss:.4f}, NDCG@10 {found.ndcg:.4f} (blended by hand "
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


def _too_short(learn: Chunks, check: Chunks) -> str:
    return (
        f"{sum(learn.lengths)} examples teach and {sum(check.lengths)} judge, and both are needed: the log is too "
        "short, or no shopper comes back in its last part"
    )
