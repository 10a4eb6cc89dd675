"""What each group of features brings to the order of the candidates: the first lesson of training, without it.

The lists and the answers are the same for every row; a group is taken away by making it 0 everywhere, in what teaches
and in what judges, and the features alone are taught anew. To take a group from a trained model would say how much
that model leans on it, not whether one could do without.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from contracts.bundle import Bundle
from contracts.features import FEATURES
from contracts.items import text_of
from contracts.protocol import Protocol
from contracts.settings import ModelSettings
from evaluation.metrics import Ranks
from inference.encoder import Encoder
from inference.scorers.fallback import BLEND
from training.config import PRESETS, Plan
from training.encoder import encode
from training.fitting import standardise
from training.lists import Examples, Lists
from training.log import Log, read_log
from training.metrics import places_of_answers
from training.model import Ranker
from training.plain_fit import PlainFit
from training.telling import Say
from training.text_lessons import pretrain
from training.train import source_of, table_of

ONE_IN = 3  # shoppers is asked where examples are cut by shopper; all are counted
TEXT = ("words_recent", "words_even", "words_last")
COUNTED = ("co_occurrence", "co_occurrence_even", "co_occurrence_last", "preceded", "co_occurrence_cosine")

#: What is taken away, by the row's name.
GROUPS = {
    "nothing": (),
    "all text (ids only)": TEXT,
    "all but text (text only)": tuple(name for name in FEATURES if name not in TEXT),
    "co-occurrence": COUNTED,
    "co_occurrence_even": ("co_occurrence_even",),
    "co_occurrence_last": ("co_occurrence_last",),
    "preceded": ("preceded",),
    "co_occurrence_cosine": ("co_occurrence_cosine",),
    "words": TEXT,
    "words_even, words_last": ("words_even", "words_last"),
    "trend": ("trend",),
    "last_met, times_met": ("last_met", "times_met"),
    "bought": ("bought",),
    "shown": ("shown",),
    "in_cart": ("in_cart",),
    "newness": ("newness",),
}

Some = Sequence[Examples]


def features(folder: Path, bundle: Bundle | None, say: Say, protocol: Protocol, until: float) -> dict[str, Ranks]:
    """For each row the places of the answers of validation; a group that never varies here has no row."""
    plan = replace(PRESETS["small"], protocol=protocol)
    log = log_of(folder, until) if protocol is Protocol.TIME else log_of(folder, hold_back=1)
    return places(*examples(log, vectors(log, bundle, plan, say), plan), plan, GROUPS, say)


def log_of(folder: Path, until: float = 1.0, hold_back: int = 0) -> Log:
    """A set without what ``daogou evaluate`` asks for."""
    items = folder / "items.jsonl.gz"
    return read_log(folder / "events.jsonl.gz", items if items.exists() else None, hold_back, until)


def places(learn: Some, check: Some, plan: Plan, groups: Mapping[str, Sequence[str]], say: Say) -> dict[str, Ranks]:
    """See ``features``."""
    spread = np.concatenate([batch.features[batch.candidates >= 0] for batch in learn]).std(axis=0)
    varying = {name for name, each in zip(FEATURES, spread.tolist(), strict=True) if each > 0.0}
    found: dict[str, Ranks] = {}
    for name, group in groups.items():
        if not group or varying & set(group):
            found[name] = taught(without(learn, group), without(check, group), plan)
            say(f"features without {name}")
    return found


def vectors(log: Log, bundle: Bundle | None, plan: Plan, say: Say) -> NDArray[np.float32]:
    """[items, d] of the items' texts: by the bundle's encoder, or by one made for this."""
    texts = [text_of(item) for item in log.items]
    if bundle is not None:
        return Encoder(bundle, ModelSettings()).encode(texts)
    encoder, tokenizer = pretrain(log.items, plan.encoder, plan.seed, say)
    return np.asarray(encode(encoder, tokenizer, texts).numpy(), np.float32)


def examples(log: Log, text: NDArray[np.float32], plan: Plan) -> tuple[Some, Some]:
    """What teaches and what judges."""
    made = list(batches(log, text, plan))
    learn, check = ([batch for judges, batch in made if judges == wanted] for wanted in (False, True))
    return learn, check


def batches(log: Log, text: NDArray[np.float32], plan: Plan) -> Iterator[tuple[bool, Examples]]:
    """Whether a batch judges, and the batch, as training makes them."""
    lists = Lists(table_of(log.items, text), plan.negatives, plan.ranker.history_limit, text.shape[1], plan.seed)
    return iter(source_of(lists, log, plan, ONE_IN).batches)


def without(some: Some, group: Sequence[str]) -> Some:
    """The same examples, the ``group`` 0 everywhere."""
    kept = np.array([name not in group for name in FEATURES], np.float32)
    return [batch._replace(features=batch.features * kept) for batch in some]


def taught(learn: Some, check: Some, plan: Plan) -> Ranks:
    """The places of the answers of ``check`` once the features alone were taught by ``learn``."""
    torch.manual_seed(plan.seed)
    ranker = Ranker(plan.ranker, plan.encoder.dim + plan.ranker.delta_dim)
    standardise(ranker, learn)
    plain = PlainFit(ranker, plan, BLEND)
    plain.until_best(learn, check)
    return np.concatenate([places_of_answers(plain.answer(batch).scores, batch) for batch in check])
