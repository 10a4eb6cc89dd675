"""``train``: a log in, a checkpoint out. Killed and started again, it goes on where it was and ends the same."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from contracts.bundle import TrainingFacts
from contracts.errors import Diverged, Reason, Unacceptable
from contracts.events import ItemId
from contracts.items import ItemTable, text_of
from contracts.messages import CatalogueItem
from contracts.protocol import Protocol
from contracts.whole_folder import replaced
from training.chunks import CHECK, LEARN, Chunks, write_chunks
from training.compute import prepare
from training.config import (
    ARCHITECTURE,
    CHECKPOINT,
    ENCODER_FOLDER,
    RANKER_WEIGHTS,
    Checkpoint,
    Plan,
    figures,
    save_checkpoint,
    told,
)
from training.cross_fit import CrossFit
from training.diverged import check_vectors
from training.encoder import TextEncoder, encode, load_encoder, save_encoder
from training.fit import fit, last_good
from training.fitting import Fitted
from training.lists import Examples, Lists
from training.log import Log
from training.outcomes import return_visits, taught
from training.replay import COLD, NOTHING, Replay, heads_of, teaches
from training.run_folder import RunFolder, run_key
from training.telling import Say, Step, silent
from training.text_lessons import pretrain

EXAMPLES_FOLDER = "examples"
#: What a model has to beat, where the caller names nothing better: transitions and likeness, untrained.
PLAIN = {"co_occurrence": 1.0, "words_recent": 1.2}


def train(
    log: Log,
    out: Path,
    plan: Plan,
    say: Say,
    encoder_folder: Path | None = None,
    blend: Mapping[str, float] = PLAIN,
    step: Step = silent,
) -> Checkpoint:
    """Pretrain or load the encoder, replay the log, fit the ranker, write the checkpoint whole or not at all.

    ``blend``: weights of features without training, whose figures stand beside the model's. ``say`` gets lines for
    people, ``step`` every step of what takes long.

    Raises: Unacceptable, where the log teaches nothing (no clicks by returning shoppers), or training diverged.
    """
    torch.manual_seed(plan.seed)
    say(f"{len(log.events):,} events, {log.shoppers:,} shoppers, {len(log.items):,} items")
    if not teaches(log.events):
        raise Unacceptable(Reason.NOT_APPLICABLE, NOTHING)
    folder = RunFolder(out, run_key(plan, log.digest, encoder_folder))
    made = _prepared(log, plan, folder, encoder_folder, say, step)
    try:
        fitted = fit(made.learn, made.check, made.text, plan, folder, blend, say, step)
    except Diverged as error:
        good = last_good(made.learn, made.text, plan, folder)
        kept = told(out, _finished(log, plan, out, made, good, folder).facts.metrics) if good else "nothing yet"
        raise Unacceptable(Reason.NOT_APPLICABLE, f"{error}; the last that was good is kept: {kept}") from error
    return _finished(log, plan, out, made, fitted, folder)


class Prepared(NamedTuple):
    """What the ranker is fitted to. ``encoder``: its folder; ``text`` [items, dim], its vectors."""

    encoder: Path
    tokenizer: Tokenizer
    text: Tensor
    learn: Chunks
    check: Chunks


def _prepared(log: Log, plan: Plan, folder: RunFolder, encoder_folder: Path | None, say: Say, step: Step) -> Prepared:
    """The encoder and the examples, made once and kept in ``folder``."""
    device = prepare(plan.device, plan.threads)
    made = folder.step(
        ENCODER_FOLDER, lambda path: save_encoder(*_encoder(log, plan, encoder_folder, device, say, step), path)
    )
    encoder, tokenizer = load_encoder(made, plan.encoder.max_tokens)
    text = encode(encoder.to(device), tokenizer, [text_of(item) for item in log.items])
    check_vectors(text)
    examples = folder.step(EXAMPLES_FOLDER, lambda path: _replay(log, text.numpy(), plan, path, step))
    learn, check = Chunks.of(examples / LEARN), Chunks.of(examples / CHECK)
    say(f"{sum(learn.lengths):,} examples teach, {sum(check.lengths):,} judge")
    return Prepared(made, tokenizer, text, learn, check)


def _finished(log: Log, plan: Plan, out: Path, made: Prepared, fitted: Fitted, folder: RunFolder) -> Checkpoint:
    """The checkpoint; the run's own folder is not needed any more."""
    checkpoint = _described(log, plan, fitted, made)
    _write(out, checkpoint, fitted, made.encoder, log)
    folder.remove()
    return checkpoint


def _encoder(
    log: Log, plan: Plan, folder: Path | None, device: torch.device, say: Say, step: Step
) -> tuple[TextEncoder, Tokenizer]:
    if folder:
        return load_encoder(folder, plan.encoder.max_tokens)
    return pretrain(log.items, plan.encoder, plan.seed, say, device, step)


def table_of(items: Sequence[CatalogueItem], text: NDArray[np.float32]) -> ItemTable:
    """The catalogue as the replay reads it: rows in the order of ``items``."""
    table = ItemTable(text.shape[1])
    for item, vector in zip(items, text, strict=True):
        table.upsert(item)
        table.set_vector(ItemId(item.item_id), vector)
    return table


def _replay(log: Log, text: NDArray[np.float32], plan: Plan, folder: Path, step: Step) -> None:
    lists = Lists(table_of(log.items, text), plan.negatives, plan.ranker.history_limit, text.shape[1], plan.seed)
    source = source_of(lists, log, plan)
    write_chunks(source.batches, folder, lambda count: step(f"{count:,} examples", source.seen(), len(log.events)))


class Source(NamedTuple):
    """Batches with whether they judge, and how many events were read so far."""

    batches: Iterable[tuple[bool, Examples]]
    seen: Callable[[], int]


def source_of(lists: Lists, log: Log, plan: Plan, one_in: int = 1) -> Source:
    """What teaches and what judges, by the plan's protocol. ``one_in``: leave-one-out asks one shopper in so many."""
    return _by_time(lists, log, plan) if plan.protocol is Protocol.TIME else _by_shopper(lists, log, plan, one_in)


def _by_time(lists: Lists, log: Log, plan: Plan) -> Source:
    """The last part of the log judges."""
    replay = Replay(lists, heads_of(log.events), return_visits(log.events))
    at = round(len(log.events) * (1.0 - plan.validation_share))
    parts = ((False, log.events[:at], COLD), (True, log.events[at:], 0))
    batches = ((check, batch) for check, events, cold in parts for batch in replay.run(events, cold))
    return Source(batches, lambda: replay.seen)


def _by_shopper(lists: Lists, log: Log, plan: Plan, one_in: int) -> Source:
    """Some shoppers judge."""
    crossed = CrossFit(lists, log.events, plan.validation_share, plan.seed, one_in)
    return Source(crossed.run(), lambda: crossed.seen)


def _described(log: Log, plan: Plan, fitted: Fitted, made: Prepared) -> Checkpoint:
    return Checkpoint(
        plan=plan,
        text_dim=made.text.shape[1],
        max_tokens=min(plan.encoder.max_tokens, int((made.tokenizer.truncation or {}).get("max_length", 64))),
        feature_means=tuple(fitted.ranker.means.tolist()),
        feature_scales=tuple(fitted.ranker.scales.tolist()),
        prerank=fitted.ranker.prerank(),
        facts=TrainingFacts(
            data_digest=log.digest, events=len(log.events), shoppers=log.shoppers, items=len(log.items),
            seed=plan.seed, metrics=figures(fitted.metrics),
        ),
        outcomes=taught((made.learn + made.check).outcomes()),
        architecture=ARCHITECTURE,
    )  # fmt: skip


def _write(out: Path, checkpoint: Checkpoint, fitted: Fitted, encoder: Path, log: Log) -> None:
    """Into a folder beside, then renamed: a killed training leaves no half checkpoint."""
    met = torch.tensor([float(item.item_id in log.met) for item in log.items])  # what nobody met learned nothing
    weights = {f"ranker.{name}": value.contiguous() for name, value in fitted.ranker.state_dict().items()}
    weights["deltas"] = fitted.vectors.deltas.weight.detach()[:-1] * met[:, None]
    with replaced(out, CHECKPOINT) as part:
        save_file(weights, part / RANKER_WEIGHTS)
        shutil.copytree(encoder, part / ENCODER_FOLDER)
        save_checkpoint(part, checkpoint, tuple(item.item_id for item in log.items))
