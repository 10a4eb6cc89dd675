"""``pretrain``: a text encoder from one's own texts, measured on held-out ones before and after.

Perplexity is exp of the mean loss over the hidden words of held-out texts. Pair accuracy: among the pairs of up to
``RIVALS`` held-out texts, how often the text nearest to the first of a pair is its second; chance is 1 / rivals.
Beside both stands what needs no encoder (``training/plain_text.py``).
"""

from collections.abc import Iterator, Sequence
from math import exp
from pathlib import Path

import msgspec
import torch
from msgspec import Struct
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from contracts.errors import Reason, Unacceptable
from contracts.whole_folder import Mark, check_replaceable, replaced
from training import plain_text
from training.batching import BATCH
from training.compute import ON_CPU, device_of
from training.config import EncoderSize
from training.encoder import TextEncoder, encode, load_encoder, new_model, save_encoder
from training.telling import Say, Step, silent
from training.text_lessons import IGNORE, bags_of, draw_together, drawn, learn_meaning, learn_words, masked
from training.texts import Corpus, Said, split
from training.wordpiece import train_tokenizer

RIVALS = 100
REPORT = "pretraining.json"
PRETRAINED = Mark(REPORT, '"held_out_texts"')


class Held(Struct, frozen=True, kw_only=True):
    """Figures on held-out texts; None where there is nothing to measure."""

    perplexity: float | None
    pair_accuracy: float | None


class Pretraining(Struct, frozen=True, kw_only=True):
    """What was learned from, and how much it helped. ``rivals``: texts that each one of a pair was looked for among.

    ``plain``: words guessed by how often each is, pairs by the words that they share.
    """

    texts: int
    pairs: int
    held_out_texts: int
    held_out_pairs: int
    rivals: int
    seed: int
    plain: Held
    before: Held
    after: Held


def pretrain_folder(
    said: list[Said], out: Path, size: EncoderSize, seed: int, say: Say, start: Path | None = None,
    device: torch.device = ON_CPU, step: Step = silent,
) -> Pretraining:  # fmt: skip
    """Learn words, meaning (of a new encoder), then pairs; write it (Hugging Face's form) and its report, or nothing.

    ``start``: a local BERT-family folder to go on from; where it has no head for words, that head begins anew.

    Raises: OutRefused; Unreadable, Unacceptable for a ``start`` that is no such folder; Unacceptable for too few texts.
    """
    check_replaceable(out, PRETRAINED)
    learn, held = split(said)
    if not learn.texts:
        raise Unacceptable(Reason.EMPTY, "all texts are held out: too few to learn from; give more texts or products")
    torch.manual_seed(seed)
    model, encoder, tokenizer = _begin(learn, size, start)
    model, encoder = model.to(device), encoder.to(device)
    before = Held(
        perplexity=_perplexity(model, tokenizer, held.texts, seed),
        pair_accuracy=_pair_accuracy(encoder, tokenizer, held.pairs),
    )
    learn_words(model, tokenizer, learn.texts, size.masked_epochs, seed, say, step)
    perplexity = _perplexity(model, tokenizer, held.texts, seed)  # the rest then moves what the head reads
    some = drawn(learn.texts, size.most_texts, seed)
    if start is None and size.meaning_epochs:
        learn_meaning(encoder, tokenizer, some, size.meaning_epochs, seed, say, step)
    if learn.pairs:
        draw_together(encoder, tokenizer, learn.pairs, size.contrastive_epochs, seed, say, step)
    after = Held(perplexity=perplexity, pair_accuracy=_pair_accuracy(encoder, tokenizer, held.pairs))
    report = _report(learn, held, seed, _plain(tokenizer, some, held, seed), before, after)
    with replaced(out, PRETRAINED) as part:
        save_encoder(encoder.eval().cpu(), tokenizer, part)
        (part / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return report


def _begin(learn: Corpus, size: EncoderSize, start: Path | None) -> tuple[nn.Module, TextEncoder, Tokenizer]:
    if start is None:
        tokenizer = train_tokenizer(learn.texts, size.vocabulary, size.max_tokens)
        model = new_model(tokenizer, size)
        return model, TextEncoder(model.bert), tokenizer
    _, tokenizer = load_encoder(start, size.max_tokens)
    model = AutoModelForMaskedLM.from_pretrained(
        start, local_files_only=True, use_safetensors=True, attn_implementation="eager", trust_remote_code=False
    )
    return model, TextEncoder(model.base_model), tokenizer


def _perplexity(model: nn.Module, tokenizer: Tokenizer, texts: list[str], seed: int) -> float | None:
    model.eval()
    total, words, device = 0.0, 0, device_of(model)
    with torch.no_grad():
        for batch in _hidden(tokenizer, texts, seed):
            ids, mask, labels = (each.to(device) for each in batch)
            hidden = int((labels != IGNORE).sum())
            if hidden:
                total += float(model(ids, attention_mask=mask, labels=labels).loss) * hidden
                words += hidden
    return exp(total / words) if words else None


def _hidden(tokenizer: Tokenizer, texts: list[str], seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of ``masked``; the same words are hidden each time."""
    rng = torch.Generator().manual_seed(seed)
    return (masked(tokenizer, texts[at : at + BATCH], rng) for at in range(0, len(texts), BATCH))


def _plain(tokenizer: Tokenizer, texts: Sequence[str], held: Corpus, seed: int) -> Held:
    labels = [batch[2] for batch in _hidden(tokenizer, held.texts, seed)]
    some, bags = held.pairs[:RIVALS], bags_of(tokenizer, texts)
    return Held(
        perplexity=plain_text.perplexity(bags, tokenizer.get_vocab_size(), labels),
        pair_accuracy=_found(plain_text.similarities(tokenizer, bags, some)) if len(some) > 1 else None,
    )


def _pair_accuracy(encoder: TextEncoder, tokenizer: Tokenizer, pairs: list[tuple[str, str]]) -> float | None:
    some = pairs[:RIVALS]
    if len(some) < 2:
        return None
    encoder.eval()
    left, right = (encode(encoder, tokenizer, [pair[side] for pair in some]) for side in (0, 1))
    return _found(left @ right.T)


def _found(near: Tensor) -> float:
    """Of the rows, those whose largest is on the diagonal. Ties count as misses."""
    rivals = near.masked_fill(torch.eye(len(near), dtype=torch.bool), -2.0).max(dim=1).values
    return float((near.diagonal() > rivals).float().mean())


def _report(learn: Corpus, held: Corpus, seed: int, plain: Held, before: Held, after: Held) -> Pretraining:
    return Pretraining(
        texts=len(learn.texts), pairs=len(learn.pairs), held_out_texts=len(held.texts),
        held_out_pairs=len(held.pairs), rivals=min(RIVALS, len(held.pairs)), seed=seed,
        plain=plain, before=before, after=after,
    )  # fmt: skip
