"""``pretrain``: a text encoder from one's own texts, measured on held-out ones before and after.

Perplexity is exp of the mean loss over the hidden words of held-out texts. Pair accuracy: among the pairs of up to
``RIVALS`` held-out texts, how often the text nearest to the first of a pair is its second; chance is 1 / rivals.
"""

from math import exp
from pathlib import Path

import msgspec
import torch
from msgspec import Struct
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForMaskedLM

from contracts.errors import Reason, Unacceptable
from contracts.whole_folder import Mark, check_replaceable, replaced
from training.batching import BATCH
from training.compute import ON_CPU, device_of
from training.config import EncoderSize
from training.encoder import TextEncoder, encode, load_encoder, new_model, save_encoder
from training.telling import Say, Step, silent
from training.text_lessons import IGNORE, draw_together, learn_words, masked
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
    """What was learned from, and how much it helped. ``rivals``: texts that each one of a pair was looked for among."""

    texts: int
    pairs: int
    held_out_texts: int
    held_out_pairs: int
    rivals: int
    seed: int
    before: Held
    after: Held


def pretrain_folder(
    said: list[Said], out: Path, size: EncoderSize, seed: int, say: Say, start: Path | None = None,
    device: torch.device = ON_CPU, step: Step = silent,
) -> Pretraining:  # fmt: skip
    """Learn words, then pairs; write the encoder (Hugging Face's form) and ``pretraining.json`` to ``out``, or nothing.

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
    perplexity = _perplexity(model, tokenizer, held.texts, seed)  # the pairs then move what the head reads
    if learn.pairs:
        draw_together(encoder, tokenizer, learn.pairs, size.contrastive_epochs, seed, say, step)
    after = Held(perplexity=perplexity, pair_accuracy=_pair_accuracy(encoder, tokenizer, held.pairs))
    report = _report(learn, held, seed, before, after)
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
    """The same words are hidden each time."""
    model.eval()
    rng, total, words, device = torch.Generator().manual_seed(seed), 0.0, 0, device_of(model)
    with torch.no_grad():
        for at in range(0, len(texts), BATCH):
            ids, mask, labels = (each.to(device) for each in masked(tokenizer, texts[at : at + BATCH], rng))
            hidden = int((labels != IGNORE).sum())
            if hidden:
                total += float(model(ids, attention_mask=mask, labels=labels).loss) * hidden
                words += hidden
    return exp(total / words) if words else None


def _pair_accuracy(encoder: TextEncoder, tokenizer: Tokenizer, pairs: list[tuple[str, str]]) -> float | None:
    """Ties count as misses."""
    encoder.eval()
    some = pairs[:RIVALS]
    if len(some) < 2:
        return None
    left, right = (encode(encoder, tokenizer, [pair[side] for pair in some]) for side in (0, 1))
    near = left @ right.T
    rivals = near.masked_fill(torch.eye(len(some), dtype=torch.bool), -2.0).max(dim=1).values
    return float((near.diagonal() > rivals).float().mean())


def _report(learn: Corpus, held: Corpus, seed: int, before: Held, after: Held) -> Pretraining:
    return Pretraining(
        texts=len(learn.texts), pairs=len(learn.pairs), held_out_texts=len(held.texts),
        held_out_pairs=len(held.pairs), rivals=min(RIVALS, len(held.pairs)), seed=seed, before=before, after=after,
    )  # fmt: skip
