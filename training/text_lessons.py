"""What a text encoder is taught before it is frozen, in this order.

Words: hidden ones are guessed from those around them (masked-language modelling; Devlin et al., 2019). Meaning: the
vector of a text becomes that of its latent semantics (``training/latent.py``). Products: two texts of one product (its
title, its description) are drawn together and apart from all others in the batch (InfoNCE; van den Oord et al., 2018).
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from contracts.errors import Reason, Unacceptable
from contracts.items import text_of
from contracts.messages import CatalogueItem
from training.batching import BATCH, batches
from training.compute import ON_CPU, device_of, precision
from training.config import EncoderSize
from training.descent import descend, paced
from training.encoder import TextEncoder, new_model, tokenized
from training.latent import latent
from training.telling import Say, Step, silent, stepping
from training.wordpiece import train_tokenizer

MASKED_SHARE = 0.15
TEMPERATURE = 0.05
BROKEN = "the encoder that it began with has broken weights"
IGNORE = -100

T = TypeVar("T")


def pretrain(
    items: Sequence[CatalogueItem],
    size: EncoderSize,
    seed: int,
    say: Say,
    device: torch.device = ON_CPU,
    step: Step = silent,
) -> tuple[TextEncoder, Tokenizer]:
    """All lessons, from scratch; of a large catalogue as many texts as ``size`` says teach, drawn evenly."""
    worded = [item for item in items if text_of(item)]
    tokenizer = train_tokenizer(_texts(worded), size.vocabulary, size.max_tokens)
    model = new_model(tokenizer, size, device)
    if not worded:
        say("no item has text: what is learned is of ids and counts alone")
        return TextEncoder(model.bert).eval(), tokenizer
    some = drawn(worded, size.most_texts, seed)
    texts, pairs = _texts(some), [two_texts(item) for item in some]
    learn_words(model, tokenizer, texts, size.epochs(size.masked_epochs, len(texts)), seed, say, step)
    encoder = TextEncoder(model.bert)
    draw_together(encoder, tokenizer, pairs, size.epochs(size.contrastive_epochs, len(pairs)), seed, say, step)
    return encoder.eval(), tokenizer


def drawn(values: Sequence[T], most: int, seed: int) -> Sequence[T]:
    """All of them, or ``most`` of them, the same for a seed."""
    return values if len(values) <= most else random.Random(seed).sample(values, most)


def _texts(worded: Sequence[CatalogueItem]) -> list[str]:
    return [text_of(item) for item in worded] or ["an item without words"]


def two_texts(item: CatalogueItem) -> tuple[str, str]:
    """Its title; and what else is said of it, or the title again. Of what has no title: two halves of what is said."""
    parts = (" > ".join(item.category), item.brand, *item.attributes, item.description)
    said = [part for part in parts if part.strip()]
    one, other = ([item.title], said) if item.title.strip() else (said[::2], said[1::2])
    return ". ".join(one), ". ".join(other or one)


def learn_words(
    model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], epochs: int, seed: int, say: Say, step: Step = silent
) -> None:
    """Masked-language modelling."""
    rng, device = torch.Generator().manual_seed(seed), device_of(model)

    def loss(batch: Sequence[str]) -> Tensor | None:
        ids, mask, labels = (each.to(device) for each in masked(tokenizer, batch, rng))
        if not (labels != IGNORE).any():
            return None
        with precision(device):
            found: Tensor = model(ids, attention_mask=mask, labels=labels).loss
        return found

    _Lesson(model, 2e-3, say, step).teach("words", texts, epochs, seed, loss)


def masked(tokenizer: Tokenizer, texts: Sequence[str], rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Ids with a share of the words hidden, mask, and labels: the word where it is hidden, else ``IGNORE``; [n, T].

    Raises: Unacceptable where the tokenizer has no ``[MASK]``.
    """
    mask_id = tokenizer.token_to_id("[MASK]")
    if mask_id is None:
        raise Unacceptable(Reason.NOT_APPLICABLE, "the tokenizer has no [MASK]: it is not of the BERT family")
    ids, mask = tokenized(tokenizer, texts)
    hidden = (torch.rand(ids.shape, generator=rng) < MASKED_SHARE) & ~torch.isin(ids, torch.tensor(_special(tokenizer)))
    return torch.where(hidden, mask_id, ids), mask, torch.where(hidden, ids, IGNORE)


def _special(tokenizer: Tokenizer) -> list[int]:
    return [i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special]


def learn_meaning(
    encoder: TextEncoder, tokenizer: Tokenizer, texts: Sequence[str], epochs: int, seed: int, say: Say,
    step: Step = silent,
) -> None:  # fmt: skip
    """The latent semantics of ``texts``, as far as their tokens tell: cosine."""
    targets, device = latent(bags_of(tokenizer, texts), encoder.bert.config.hidden_size), device_of(encoder)  # type: ignore[union-attr,arg-type]

    def loss(batch: Sequence[int]) -> Tensor:
        with precision(device):
            vectors = encoder(*(each.to(device) for each in tokenized(tokenizer, [texts[row] for row in batch])))
        near: Tensor = (vectors.float() * torch.from_numpy(targets[batch]).to(device)).sum(-1)
        return 1.0 - near.mean()

    _Lesson(encoder, 2e-3, say, step, paced=True).teach("meaning", range(len(texts)), epochs, seed, loss)


def bags_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Each text's tokens, as far as the encoder reads it."""
    special = set(_special(tokenizer))
    return [[i for i in found.ids if i not in special] for found in tokenizer.encode_batch_fast(list(texts))]


def draw_together(
    encoder: TextEncoder, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], epochs: int, seed: int, say: Say,
    step: Step = silent,
) -> None:  # fmt: skip
    """InfoNCE: of a batch's texts each finds the one that belongs to it."""
    device = device_of(encoder)

    def loss(batch: Sequence[tuple[str, str]]) -> Tensor:
        sides = [tokenized(tokenizer, [pair[side] for pair in batch]) for side in (0, 1)]
        with precision(device):
            left, right = (encoder(*(each.to(device) for each in side)) for side in sides)
        return _apart(left.float(), right.float())

    _Lesson(encoder, 1e-3, say, step).teach("products", pairs, epochs, seed, loss)


def _apart(left: Tensor, right: Tensor) -> Tensor:
    """Each of ``left`` [n, dim] is nearest to its own of ``right``, and the other way round."""
    near, truth = left @ right.T / TEMPERATURE, torch.arange(len(left), device=left.device)
    return (nn.functional.cross_entropy(near, truth) + nn.functional.cross_entropy(near.T, truth)) / 2


class _Lesson:
    """Epochs of steps of AdamW at one ``rate``; ``paced``: it rises over the first tenth and falls to 0."""

    def __init__(self, model: nn.Module, rate: float, say: Say, step: Step, paced: bool = False) -> None:
        self._model, self._say, self._step, self._paced = model, say, step, paced
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)

    def teach(
        self, what: str, values: Sequence[T], epochs: int, seed: int, loss: Callable[[list[T]], Tensor | None]
    ) -> None:
        """``loss`` of a batch; None where there is nothing in it to learn."""
        every = max(1, -(-len(values) // BATCH))
        pace = paced(self._optimizer, epochs * every) if self._paced else None
        self._model.train()
        for epoch in range(epochs):
            name, total = f"{what}, epoch {epoch + 1} of {epochs}", 0.0
            for batch in stepping(batches(values, seed + epoch), name, self._step):
                if (found := loss(batch)) is not None:
                    where = f"in epoch {epoch + 1} of learning {what}"
                    total += descend(self._optimizer, self._model, found, where, BROKEN)
                if pace:
                    pace.step()
            self._say(f"{name}: loss {total / every:.3f}")
