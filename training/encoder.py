"""The text encoder: a small BERT, pretrained by us on the catalogue's own text, or any local BERT-family folder.

Two steps: masked-language modelling (Devlin et al., 2019) learns the words; then two texts of one product (its title,
its description) are drawn together and apart from all others in the batch (InfoNCE; van den Oord et al., 2018). After
that it is frozen: an item's vector is the mean of its last layer over the text, of unit length.
"""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, BertConfig, BertForMaskedLM, PreTrainedModel
from transformers.utils import logging

from contracts.errors import Reason, Unacceptable, Unreadable
from contracts.items import text_of
from contracts.messages import CatalogueItem
from training.batching import BATCH, batches
from training.compute import device_of, precision
from training.config import EncoderSize
from training.diverged import checked, clipped
from training.telling import Say, Step, silent, stepping
from training.weights import SAFE, lacking, pickled
from training.wordpiece import PAD, train_tokenizer

MASKED_SHARE = 0.15
TEMPERATURE = 0.05
BROKEN = "the encoder that it began with has broken weights"
IGNORE = -100

ON_CPU = torch.device("cpu")

Pooling = Literal["mean", "cls"]


class TextEncoder(nn.Module):
    """Token ids -> vectors [n, dim]: what is exported as ``item_encoder.onnx``.

    Ours are the mean of the last layer's states, of unit length; other folders may say the first token's (cls).
    """

    def __init__(self, bert: nn.Module, pooling: Pooling = "mean", normalize: bool = True) -> None:
        super().__init__()
        self.bert = bert
        self._pooling, self._normalize = pooling, normalize

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``input_ids`` and ``attention_mask`` [n, T] int64 -> [n, dim] float32."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled: Tensor = hidden[:, 0] if self._pooling == "cls" else (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return pooled / pooled.norm(dim=-1, keepdim=True).clamp(min=1e-6) if self._normalize else pooled


def quiet() -> None:
    """Transformers reports what it loads, at length; we say what matters ourselves."""
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def pretrain(
    items: Sequence[CatalogueItem],
    size: EncoderSize,
    seed: int,
    say: Say,
    device: torch.device = ON_CPU,
    step: Step = silent,
) -> tuple[TextEncoder, Tokenizer]:
    """Both steps, from scratch; of a large catalogue as many texts as ``size`` says teach, drawn evenly."""
    worded = [item for item in items if text_of(item)]
    tokenizer = train_tokenizer(_texts(worded), size.vocabulary, size.max_tokens)
    model = new_model(tokenizer, size, device)
    if not worded:
        say("no item has text: what is learned is of ids and counts alone")
        return TextEncoder(model.bert).eval(), tokenizer
    some = drawn(worded, size.most_texts, seed)
    texts = _texts(some)
    learn_words(model, tokenizer, texts, size.epochs(size.masked_epochs, len(texts)), seed, say, step)
    encoder = TextEncoder(model.bert)
    pairs = [two_texts(item) for item in some]
    draw_together(encoder, tokenizer, pairs, size.epochs(size.contrastive_epochs, len(pairs)), seed, say, step)
    return encoder.eval(), tokenizer


def drawn(items: Sequence[CatalogueItem], most: int, seed: int) -> Sequence[CatalogueItem]:
    """All of them, or ``most`` of them, the same for a seed."""
    return items if len(items) <= most else random.Random(seed).sample(items, most)


def _texts(worded: Sequence[CatalogueItem]) -> list[str]:
    return [text_of(item) for item in worded] or ["an item without words"]


def new_model(tokenizer: Tokenizer, size: EncoderSize, device: torch.device = ON_CPU) -> BertForMaskedLM:
    """A BERT that has learned nothing yet."""
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=size.dim, num_hidden_layers=size.layers,
        num_attention_heads=size.attention_heads, intermediate_size=2 * size.dim,
        max_position_embeddings=max(size.max_tokens, 16), pad_token_id=PAD,
    )  # fmt: skip
    model: BertForMaskedLM = BertForMaskedLM._from_config(config, attn_implementation="eager")  # type: ignore[no-untyped-call]
    nn.Module.to(model, device)
    return model


def load_encoder(folder: Path, max_tokens: int) -> tuple[TextEncoder, Tokenizer]:
    """A local BERT-family folder in Hugging Face's form.

    Raises:
        Unreadable: it has no ``config.json`` or no ``tokenizer.json``.
        Unacceptable: weights that are pickles (they can run code); the message says how to convert them. Or too few.
    """
    model = load_transformer(folder)
    tokenizer = _tokenizer(folder / "tokenizer.json")
    tokenizer.enable_truncation(min(max_tokens, int(model.config.max_position_embeddings)))
    tokenizer.enable_padding(pad_id=int(model.config.pad_token_id or 0))
    return TextEncoder(model).eval(), tokenizer


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{path} is no tokenizer: {error}") from error


def load_transformer(folder: Path) -> PreTrainedModel:
    """The folder's model with all of its weights: what is missing would be drawn at random, and nobody would say so.

    Raises: Unreadable, Unacceptable, as ``load_encoder``.
    """
    check_model_folder(folder)
    try:
        model, told = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, attn_implementation="eager", trust_remote_code=False,
            output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
    except (OSError, ValueError, SafetensorError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    _check_all_read(folder, told["missing_keys"], [name for name, *_ in told["mismatched_keys"]])
    return model  # type: ignore[no-any-return]


def _check_all_read(folder: Path, missing: Iterable[str], misshapen: Iterable[str]) -> None:
    for names, how in ((misshapen, "have in another shape"), (missing, "lack")):
        wrong = sorted(name for name in names if not name.startswith("pooler."))
        if wrong:
            raise Unacceptable(
                Reason.NOT_APPLICABLE,
                f"{folder}: the weights {how} {len(wrong)} tensors that config.json asks for, {wrong[0]} the first",
            )


def check_model_folder(folder: Path) -> None:
    """Whether all that is read is there. Raises: Unreadable, Unacceptable, as ``load_encoder``."""
    if pickled(folder):
        raise lacking(folder)
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise Unreadable(Reason.EMPTY, f"{folder} has no {name}: it is no model folder in Hugging Face's form")
    if not list(folder.glob(f"*{SAFE}")):
        raise lacking(folder)


def save_encoder(encoder: TextEncoder, tokenizer: Tokenizer, folder: Path) -> None:
    """In Hugging Face's form, safetensors only."""
    encoder.bert.save_pretrained(folder)  # type: ignore[operator]
    tokenizer.save(str(folder / "tokenizer.json"))


def encode(encoder: TextEncoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """[n, dim]: as it will be served; zeros where there is no text."""
    vectors = torch.zeros(len(texts), encoder.bert.config.hidden_size)  # type: ignore[union-attr,arg-type]
    order = sorted((i for i, text in enumerate(texts) if text), key=lambda i: len(texts[i]))
    device = device_of(encoder)
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            vectors[some] = encoder(*(each.to(device) for each in tokenized(tokenizer, [texts[i] for i in some]))).cpu()
    return vectors


def tokenized(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, [n, T] int64."""
    found = tokenizer.encode_batch(list(texts))
    return torch.tensor([t.ids for t in found]), torch.tensor([t.attention_mask for t in found])


def masked(tokenizer: Tokenizer, texts: Sequence[str], rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Ids with a share of the words hidden, mask, and labels: the word where it is hidden, else ``IGNORE``; [n, T].

    Raises: Unacceptable where the tokenizer has no ``[MASK]``.
    """
    mask_id = tokenizer.token_to_id("[MASK]")
    if mask_id is None:
        raise Unacceptable(Reason.NOT_APPLICABLE, "the tokenizer has no [MASK]: it is not of the BERT family")
    special = torch.tensor([i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special])
    ids, mask = tokenized(tokenizer, texts)
    hidden = (torch.rand(ids.shape, generator=rng) < MASKED_SHARE) & ~torch.isin(ids, special)
    return torch.where(hidden, mask_id, ids), mask, torch.where(hidden, ids, IGNORE)


def learn_words(
    model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], epochs: int, seed: int, say: Say, step: Step = silent
) -> None:
    """Masked-language modelling: hidden words are guessed from those around them."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    rng, device = torch.Generator().manual_seed(seed), device_of(model)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for batch in stepping(batches(texts, seed + epoch), f"words, epoch {epoch + 1} of {epochs}", step):
            ids, mask, labels = (each.to(device) for each in masked(tokenizer, batch, rng))
            if (labels != IGNORE).any():
                with precision(device):
                    loss = model(ids, attention_mask=mask, labels=labels).loss
                total += _step(optimizer, loss, model, f"in epoch {epoch + 1} of learning words")
        say(f"words, epoch {epoch + 1} of {epochs}: loss {total / max(1, -(-len(texts) // BATCH)):.3f}")


def draw_together(
    encoder: TextEncoder, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], epochs: int, seed: int, say: Say,
    step: Step = silent,
) -> None:  # fmt: skip
    """InfoNCE: of a batch's texts each finds the one that belongs to it."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3, weight_decay=0.01)
    encoder.train()
    device = device_of(encoder)
    for epoch in range(epochs):
        total = 0.0
        for batch in stepping(batches(pairs, seed + epoch), f"products, epoch {epoch + 1} of {epochs}", step):
            sides = [tokenized(tokenizer, [pair[side] for pair in batch]) for side in (0, 1)]
            with precision(device):
                left, right = (encoder(*(each.to(device) for each in side)) for side in sides)
            total += _step(optimizer, _apart(left.float(), right.float()), encoder, f"in epoch {epoch + 1} of pairs")
        say(f"products, epoch {epoch + 1} of {epochs}: loss {total / max(1, -(-len(pairs) // BATCH)):.3f}")


def _apart(left: Tensor, right: Tensor) -> Tensor:
    """Each of ``left`` [n, dim] is nearest to its own of ``right``, and the other way round."""
    near, truth = left @ right.T / TEMPERATURE, torch.arange(len(left), device=left.device)
    return (nn.functional.cross_entropy(near, truth) + nn.functional.cross_entropy(near.T, truth)) / 2


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, model: nn.Module, where: str) -> float:
    value = checked(loss, where, BROKEN)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    clipped(model, 1.0, where, BROKEN)
    optimizer.step()
    return value


def two_texts(item: CatalogueItem) -> tuple[str, str]:
    """Its title; and what else is said of it, or the title again. Of what has no title: two halves of what is said."""
    parts = (" > ".join(item.category), item.brand, *item.attributes, item.description)
    said = [part for part in parts if part.strip()]
    one, other = ([item.title], said) if item.title.strip() else (said[::2], said[1::2])
    return ". ".join(one), ". ".join(other or one)
