"""A head on a text encoder, fine-tuned whole: logits of classes, or one number for a pair of texts.

A plain answer stands beside it: weights of hashed character n-grams for classes (``training/hashed_ngrams.py``), the
bias model for ratings. The head begins at zero and learns what the plain answer leaves; the best epoch on validation is
kept, the start included, and of its output as much as is more than chance (``training/shrinkage.py``).
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from contracts.biases import Biases
from contracts.bundle import TrainingFacts
from contracts.errors import Reason, Unreadable
from contracts.ngrams import ngrams
from contracts.pairs import Pair, inputs_of
from contracts.whole_folder import Mark
from training.batching import batches, even_batches
from training.compute import device_of, precision
from training.config import ENCODER_FOLDER, EncoderSize
from training.descent import descend, paced
from training.encoder import TextEncoder, load_encoder, new_model, save_encoder
from training.hashed_ngrams import HashedNgrams
from training.telling import Say, Step, silent, stepping
from training.text_lessons import learn_words
from training.weights import fill, read_tensors
from training.wordpiece import train_tokenizer

DESCRIPTION = "head.json"
HEAD = Mark(DESCRIPTION, '"probes"')
WEIGHTS = "head.safetensors"
WORD_TOKENS = 64  # of a text, to learn words from: what stands further on has the same words
NGRAMS = "ngrams."

GIVEN_RATE, OWN_RATE = 5e-5, 5e-4

Scores = NDArray[np.float32]
Predict = Callable[[Sequence[Pair]], Scores]


class HeadPlan(Struct, frozen=True, kw_only=True):
    """One fine-tuning. ``learning_rate`` None: what suits an encoder made here; see ``for_given``.

    ``word_texts``: so many texts, drawn by the seed, are enough to learn words from.
    """

    seed: int = 0
    epochs: int = 2
    batch: int = 32
    learning_rate: float | None = None
    dropout: float = 0.1
    device: str = "cpu"
    word_texts: int = 16_000
    encoder: EncoderSize = EncoderSize(vocabulary=6000, max_tokens=128, masked_epochs=1)


def for_given(plan: HeadPlan) -> HeadPlan:
    """The plan for an encoder that knows much already: it learns slowly, or forgets."""
    return replace(plan, learning_rate=plan.learning_rate or GIVEN_RATE)


class Head(Struct, frozen=True, kw_only=True):
    """``head.json``: all that the weights do not say. ``probes``: texts on which the export must agree."""

    kind: Literal["classifier", "regressor"]
    outputs: tuple[str, ...]
    max_tokens: int
    facts: TrainingFacts
    probes: tuple[Pair, ...]
    biases: Biases | None = None


class Example(NamedTuple):
    """What is read, and what should come of it: a class's number, or a number.

    ``beside``: the plain answer's logits of each class, as of a text that it had not seen; they are added.
    """

    pair: Pair
    target: float
    beside: tuple[float, ...] = ()


class Task(NamedTuple):
    """What a head is to learn. ``score`` is given what predicts, and says how good that is on validation.

    Greater is better.
    """

    outputs: int
    learn: Sequence[Example]
    score: "Callable[[Predict], float]"


class Tuned(NamedTuple):
    """A head's model with its tokenizer, and how it scored on validation (greater is better)."""

    model: "HeadModel"
    tokenizer: Tokenizer
    score: float

    def shrunk(self, share: float) -> None:
        """Let the model say that much of what it says, and no more."""
        with torch.no_grad():
            self.model.out.weight.mul_(share)
            self.model.out.bias.mul_(share)


class HeadModel(nn.Module):
    """Token ids -> scores [n, outputs]. The mean of the last layer's states, and one linear map."""

    def __init__(self, bert: nn.Module, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = TextEncoder(bert, "mean", normalize=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(int(bert.config.hidden_size), outputs)  # type: ignore[union-attr,arg-type]
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``input_ids`` and ``attention_mask`` [n, T] int64 -> [n, outputs] float32."""
        found: Tensor = self.out(self.dropout(self.encoder(input_ids, attention_mask)))
        return found


class WithNgrams(nn.Module):
    """A head and the n-grams beside it: the sum of both, as it is exported."""

    def __init__(self, head: HeadModel, ngrams: HashedNgrams) -> None:
        super().__init__()
        self.head, self.ngrams = head, ngrams

    def forward(self, input_ids: Tensor, attention_mask: Tensor, gram_ids: Tensor, gram_weights: Tensor) -> Tensor:
        """As ``HeadModel``, and ``gram_ids`` [n, G] int64, ``gram_weights`` [n, G] float32 -> [n, outputs]."""
        found: Tensor = self.head(input_ids, attention_mask) + self.ngrams(gram_ids, gram_weights)
        return found


Model = HeadModel | WithNgrams


def begin(
    texts: Sequence[str], plan: HeadPlan, start: Path | None, say: Say, step: Step = silent
) -> tuple[nn.Module, Tokenizer]:
    """A local BERT-family folder; or a new BERT that learns its words from ``texts``.

    Raises: Unreadable, Unacceptable, for a ``start`` that is no such folder.
    """
    torch.manual_seed(plan.seed)
    if start is not None:
        encoder, tokenizer = load_encoder(start, plan.encoder.max_tokens)
        return encoder.bert.to(plan.device), tokenizer
    said = [text for text in dict.fromkeys(texts) if text] or ["nothing"]
    tokenizer = train_tokenizer(said, plan.encoder.vocabulary, plan.encoder.max_tokens)
    model = new_model(tokenizer, plan.encoder, torch.device(plan.device))
    tokenizer.enable_truncation(min(WORD_TOKENS, plan.encoder.max_tokens))
    some = [text for batch in batches(said, plan.seed) for text in batch][: plan.word_texts]
    learn_words(model, tokenizer, some, plan.encoder.masked_epochs, plan.seed, say, step)
    tokenizer.enable_truncation(plan.encoder.max_tokens)
    return model.bert, tokenizer


def fine_tune(
    bert: nn.Module, tokenizer: Tokenizer, task: Task, plan: HeadPlan, say: Say, step: Step = silent
) -> Tuned:
    """Cross-entropy where there are several outputs, squared error where there is one. ``bert`` stays as it is."""
    torch.manual_seed(plan.seed)
    model = HeadModel(copy.deepcopy(bert), task.outputs, plan.dropout).to(plan.device)
    kept = _kept(model, tokenizer, task)
    climb = _Climb(model, plan, len(task.learn))
    for epoch in range(plan.epochs):
        loss = climb.epoch(tokenizer, task.learn, plan.seed + epoch, epoch, step)
        now = _kept(model, tokenizer, task)
        say(f"epoch {epoch + 1} of {plan.epochs}: loss {loss:.4f}, validation {now[0]:.4f}")
        kept = max(kept, now, key=lambda each: each[0])
    model.load_state_dict(kept[1])
    return Tuned(model.eval().cpu(), tokenizer, kept[0])


def scores(model: Model, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> Scores:
    """[n, outputs], by PyTorch."""
    model.eval()
    order = sorted(range(len(pairs)), key=lambda i: sum(map(len, pairs[i])))
    runs = [[pairs[i] for i in order[at : at + 64]] for at in range(0, len(order), 64)]
    device = device_of(model)
    with torch.no_grad():
        whole = torch.cat(
            [model(*(each.to(device) for each in model_inputs(model, tokenizer, run))) for run in runs]
        ).cpu()
    return np.asarray(whole[torch.argsort(torch.tensor(order))].numpy(), np.float32)


def model_inputs(model: Model, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[Tensor, ...]:
    """What ``model`` is called with."""
    tokens = pair_tokens(tokenizer, pairs)
    if isinstance(model, HeadModel):
        return tokens
    return (*tokens, *map(torch.from_numpy, ngrams([pair.text for pair in pairs])))


def pair_tokens(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, [n, T] int64."""
    found = tokenizer.encode_batch(inputs_of(pairs))
    return torch.tensor([t.ids for t in found]), torch.tensor([t.attention_mask for t in found])


def save_head(folder: Path, head: Head, tuned: Tuned, beside: HashedNgrams | None = None) -> None:
    """The encoder in Hugging Face's form, the head's two tensors, those of the n-grams if any, the description."""
    save_encoder(tuned.model.encoder, tuned.tokenizer, folder / ENCODER_FOLDER)
    tensors = tuned.model.out.state_dict()
    if beside is not None:
        tensors = tensors | {f"{NGRAMS}{name}": tensor for name, tensor in beside.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)
    (folder / DESCRIPTION).write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")


def load_head(folder: Path) -> tuple[Head, Model, Tokenizer]:
    """What ``save_head`` wrote. Raises: Unreadable, Unacceptable."""
    try:
        head = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError) as error:
        raise Unreadable(
            Reason.EMPTY, f"{folder} is no fine-tuned head: {DESCRIPTION} cannot be read: {error}"
        ) from error
    encoder, tokenizer = load_encoder(folder / ENCODER_FOLDER, head.max_tokens)
    model = HeadModel(encoder.bert, len(head.outputs))
    tensors = read_tensors(folder / WEIGHTS)
    beside = {name.removeprefix(NGRAMS): tensors.pop(name) for name in list(tensors) if name.startswith(NGRAMS)}
    fill(model.out, tensors, folder / WEIGHTS)
    whole = WithNgrams(model, HashedNgrams.of(beside, len(head.outputs), folder / WEIGHTS)) if beside else model
    return head, whole.eval(), tokenizer


def _kept(model: HeadModel, tokenizer: Tokenizer, task: Task) -> tuple[float, dict[str, Tensor]]:
    found = task.score(lambda pairs: scores(model, tokenizer, pairs))
    return found, copy.deepcopy(model.state_dict())


class _Climb:
    """The optimizer and its learning rate, over all epochs."""

    def __init__(self, model: HeadModel, plan: HeadPlan, examples: int) -> None:
        self._model, self._size, self._device = model, plan.batch, device_of(model)
        rate = plan.learning_rate or OWN_RATE
        self._cause = f"the learning rate ({rate}) is too high, or the encoder's weights are broken"
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
        self._schedule = paced(self._optimizer, plan.epochs * -(-examples // plan.batch))

    def epoch(self, tokenizer: Tokenizer, learn: Sequence[Example], seed: int, epoch: int, step: Step) -> float:
        """Once over all examples; the mean loss."""
        self._model.train()
        total = 0.0
        parts = stepping(even_batches(learn, self._size, seed, _length), f"epoch {epoch + 1}", step)
        for number, batch in enumerate(parts):
            tokens = pair_tokens(tokenizer, [example.pair for example in batch])
            with precision(self._device):
                found = self._model(*(each.to(self._device) for each in tokens))
            total += self._step(_loss(found.float(), batch), f"at step {number} of epoch {epoch + 1}") * len(batch)
        return total / len(learn)

    def _step(self, loss: Tensor, where: str) -> float:
        value = descend(self._optimizer, self._model, loss, where, self._cause)
        self._schedule.step()
        return value


def _loss(found: Tensor, batch: Sequence[Example]) -> Tensor:
    targets = torch.tensor([example.target for example in batch], device=found.device)
    if batch[0].beside:
        found = found + torch.tensor([example.beside for example in batch], device=found.device)
    if found.shape[1] > 1:
        return nn.functional.cross_entropy(found, targets.long())
    return nn.functional.mse_loss(found[:, 0], targets)


def _length(example: Example) -> int:
    return sum(map(len, example.pair))
