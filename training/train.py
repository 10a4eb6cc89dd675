"""``train``: a log in, a checkpoint out."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from contracts.bundle import TrainingFacts
from contracts.errors import Reason, Unacceptable
from contracts.events import ItemId
from contracts.items import ItemTable, text_of
from contracts.messages import CatalogueItem
from training.config import ENCODER_FOLDER, RANKER_WEIGHTS, Checkpoint, Plan, figures, save_checkpoint
from training.encoder import TextEncoder, encode, load_encoder, pretrain, save_encoder
from training.examples import Examples, Replay
from training.log import Log
from training.metrics import Validation, measure
from training.model import Ranker

Say = Callable[[str], None]
CLICK_WEIGHT = 0.1
RETRIEVAL_WEIGHT = 0.3


class Tensors(NamedTuple):
    """One batch as the model reads it. ``rows`` are into the item vectors, -1 for padding."""

    history: Tensor
    kinds: Tensor
    gaps: Tensor
    candidates: Tensor
    features: Tensor
    heads: Tensor


class Vectors(nn.Module):
    """Frozen text vectors beside a small trained delta an item: [..., text_dim + delta_dim]; 0 if new."""

    text: Tensor

    def __init__(self, text: Tensor, delta_dim: int) -> None:
        super().__init__()
        self.register_buffer("text", torch.cat([text, torch.zeros(1, text.shape[1])]))
        self.deltas = nn.Embedding(len(text) + 1, delta_dim, padding_idx=len(text))
        nn.init.zeros_(self.deltas.weight)

    def forward(self, rows: Tensor) -> Tensor:
        """``rows`` of any shape, -1 for padding (the last row is zeros)."""
        at = torch.where(rows < 0, len(self.text) - 1, rows)
        return torch.cat([self.text[at], self.deltas(at)], -1)


def train(log: Log, out: Path, plan: Plan, say: Say, encoder_folder: Path | None = None) -> Checkpoint:
    """Pretrain or load the encoder, replay the log, fit the ranker, write the checkpoint whole or not at all.

    Raises:
        Unacceptable: the log teaches nothing (no clicks or the like by returning shoppers), or training diverged.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    say(f"{len(log.events):,} events, {log.shoppers:,} shoppers, {len(log.items):,} items")
    encoder, tokenizer = (
        load_encoder(encoder_folder, plan.encoder.max_tokens)
        if encoder_folder
        else pretrain(log.items, plan.encoder, plan.seed, say)
    )
    text = encode(encoder, tokenizer, [text_of(item) for item in log.items])
    batches = list(_replayed(log, text, plan, say))
    fitted = fit(batches, text, plan, say)
    checkpoint = Checkpoint(
        plan=plan,
        text_dim=text.shape[1],
        max_tokens=min(plan.encoder.max_tokens, int((tokenizer.truncation or {}).get("max_length", 64))),
        feature_means=tuple(fitted.ranker.means.tolist()),
        feature_scales=tuple(fitted.ranker.scales.tolist()),
        facts=_facts(log, plan, fitted.metrics),
    )
    _write(out, checkpoint, fitted, encoder, tokenizer, log.items)
    return checkpoint


def table_of(items: Sequence[CatalogueItem], text: NDArray[np.float32]) -> ItemTable:
    """The catalogue as the replay reads it: rows in the order of ``items``."""
    table = ItemTable(text.shape[1])
    for item, vector in zip(items, text, strict=True):
        table.upsert(item)
        table.set_vector(ItemId(item.item_id), vector)
    return table


def _replayed(log: Log, text: Tensor, plan: Plan, say: Say) -> Iterator[Examples]:
    table = table_of(log.items, text.numpy())
    replay = Replay(table, plan.negatives, plan.ranker.history_limit, text.shape[1], plan.seed)
    count = 0
    for batch in replay.run(log.events):
        count += len(batch.heads)
        yield batch
    say(f"{count:,} examples replayed")


class Fitted(NamedTuple):
    """The best epoch's weights, and its figures on validation."""

    ranker: Ranker
    vectors: Vectors
    metrics: dict[str, float]


def fit(batches: Sequence[Examples], text: Tensor, plan: Plan, say: Say) -> Fitted:
    """Fit on the first part of the log, stop by the last part."""
    at = max(1, round(len(batches) * (1.0 - plan.validation_share)))
    learn, check = batches[:at], batches[at:] or batches[-1:]
    if not learn:
        raise Unacceptable(Reason.NOT_APPLICABLE, "the log has nothing to learn from: no clicks by returning shoppers")
    vectors = Vectors(text, plan.ranker.delta_dim)
    ranker = Ranker(plan.ranker, text.shape[1] + plan.ranker.delta_dim)
    _standardise(ranker, learn)
    parameters = [*ranker.parameters(), *vectors.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=0.01)
    best: tuple[float, dict[str, Tensor], dict[str, Tensor], Validation] | None = None
    since = 0
    for epoch in range(plan.epochs):
        loss = _epoch(ranker, vectors, learn, optimizer, plan, epoch)
        found = measure(lambda b: _scores(ranker, vectors, b), check)
        say(f"epoch {epoch + 1} of {plan.epochs}: loss {loss:.4f}, NDCG@10 {found.ndcg:.4f} (features alone "
            f"{found.baseline_ndcg:.4f}, popularity {found.popularity_ndcg:.4f})")  # fmt: skip
        if best is None or found.ndcg > best[0]:
            best, since = (found.ndcg, _copy(ranker), _copy(vectors), found), 0
        else:
            since += 1
            if since >= plan.patience:
                break
    assert best is not None
    ranker.load_state_dict(best[1])
    vectors.load_state_dict(best[2])
    return Fitted(ranker.eval(), vectors.eval(), best[3].figures())


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _standardise(ranker: Ranker, batches: Sequence[Examples]) -> None:
    known = np.concatenate([b.features[b.candidates >= 0] for b in batches[:200]])
    ranker.means.copy_(torch.from_numpy(known.mean(0)))
    ranker.scales.copy_(torch.from_numpy(np.maximum(known.std(0), 1e-2)))


def _epoch(
    ranker: Ranker,
    vectors: Vectors,
    batches: Sequence[Examples],
    optimizer: torch.optim.Optimizer,
    plan: Plan,
    epoch: int,
) -> float:
    ranker.train()
    rng = np.random.default_rng([plan.seed, epoch])
    total, steps = 0.0, 0
    for number in rng.permutation(len(batches)):
        for part in split(batches[number], plan.batch):
            loss = losses(ranker, vectors, part)
            if not torch.isfinite(loss):
                raise Unacceptable(
                    Reason.NOT_APPLICABLE,
                    f"the loss is {float(loss)} at step {steps} of epoch {epoch + 1}: the learning rate "
                    f"({plan.learning_rate}) is too high, or a feature is not finite",
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([*ranker.parameters(), *vectors.parameters()], 1.0)
            optimizer.step()
            total, steps = total + float(loss.detach()), steps + 1
    return total / max(1, steps)


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
        )


def losses(ranker: Ranker, vectors: Vectors, part: Tensors) -> Tensor:
    """Softmax over the list for the head that the event teaches, a little binary loss so that it is a probability,
    and a sampled softmax for the retrieval query (the list and everybody else's answers)."""
    past, shown = vectors(part.history), vectors(part.candidates)
    logits = ranker(past, part.kinds, part.gaps, shown, part.features)
    mine = logits[torch.arange(len(logits)), :, part.heads].masked_fill(part.candidates < 0, -1e4)
    truth = torch.zeros_like(mine)
    truth[:, 0] = 1.0
    binary = nn.functional.binary_cross_entropy_with_logits(mine.clamp(min=-30.0), truth)
    listed = nn.functional.cross_entropy(mine, torch.zeros(len(mine), dtype=torch.long))
    return listed + CLICK_WEIGHT * binary + RETRIEVAL_WEIGHT * _retrieval(ranker, past, shown, part)


def _retrieval(ranker: Ranker, past: Tensor, shown: Tensor, part: Tensors) -> Tensor:
    query = ranker.retrieve(past, part.kinds, part.gaps)
    listed = torch.einsum("bd,bnd->bn", query, shown).masked_fill(part.candidates < 0, -1e4)
    others = query @ shown[:, 0].T
    same = part.candidates[:, 0][:, None] == part.candidates[:, 0][None, :]
    scores = torch.cat([listed, others.masked_fill(same, -1e4)], -1)
    return nn.functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


def _scores(ranker: Ranker, vectors: Vectors, examples: Examples) -> NDArray[np.float32]:
    ranker.eval()
    parts = []
    with torch.no_grad():
        for part in split(examples, 256):
            logits = ranker(vectors(part.history), part.kinds, part.gaps, vectors(part.candidates), part.features)
            parts.append(logits[torch.arange(len(logits)), :, part.heads].numpy())
    return np.concatenate(parts)


def _facts(log: Log, plan: Plan, metrics: dict[str, float]) -> TrainingFacts:
    return TrainingFacts(
        data_digest=log.digest, events=len(log.events), shoppers=log.shoppers, items=len(log.items), seed=plan.seed,
        metrics=figures(metrics),
    )  # fmt: skip


def _write(
    out: Path, checkpoint: Checkpoint, fitted: Fitted, encoder: TextEncoder, tokenizer: object,
    items: Sequence[CatalogueItem],
) -> None:  # fmt: skip
    """Into a folder beside, then renamed: a killed training leaves no half checkpoint."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.{uuid4().hex[:8]}.part")
    part.mkdir()
    weights = {f"ranker.{name}": value.contiguous() for name, value in fitted.ranker.state_dict().items()}
    weights["deltas"] = fitted.vectors.deltas.weight.detach()[:-1].contiguous()
    save_file(weights, part / RANKER_WEIGHTS)
    save_encoder(encoder, tokenizer, part / ENCODER_FOLDER)  # type: ignore[arg-type]
    save_checkpoint(part, checkpoint, tuple(item.item_id for item in items))
    if out.exists():
        shutil.rmtree(out)
    part.rename(out)
