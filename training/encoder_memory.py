"""What learning on a text encoder needs of the memory: foreseen from its shape and from the texts, without its weights.

Beside the weights and their states it is what a step keeps for its gradient, which grows with a batch's tokens.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from transformers import AutoConfig

from contracts.errors import Reason, Unreadable
from contracts.ngrams import BUCKETS, LENGTHS, LONGEST
from contracts.pairs import Pair
from training.batching import BATCH
from training.config import EncoderSize
from training.encoder import check_model_folder
from training.hashed_ngrams import MOST_WEIGHTS
from training.head import WORD_TOKENS, HeadPlan
from training.memory import FLOAT, Need, whole_of
from training.texts import Said

PROGRAM = 900_000_000  # the process with PyTorch and transformers
LEARNED = 4  # of the weights: themselves, their gradient, two moments
TUNED = 7  # as those, and what it began with, the best, the last
READ = 2  # themselves, and the file that they are read from
SPARE = 1.5  # of what a step keeps: what its gradient passes through, and what is free between tensors of many sizes
LOGITS = 3  # of the logits of all words: themselves, their logarithms, their gradient
TEXT, LOGIT = 400, 60  # a text's tuples and places in lists; one of its classes' answers, beside it and as numbers
WORD, FIRST, SHARE = 2_500, 5, 0.6  # a distinct word, for the tokenizer; of n letters there are FIRST * n ** SHARE
GRAM = 48  # bytes an n-gram: the counts, by rarity, those of a fold, turned
SOLVED = 42 * 8  # bytes a weight of theirs while it is looked for: what L-BFGS remembers


class Shape(NamedTuple):
    """As ``config.json`` says it: widths, layers, heads, words, and the most tokens."""

    width: int
    layers: int
    inner: int
    heads: int
    words: int
    positions: int

    @property
    def weights(self) -> int:
        """How many there are."""
        block = self.width * (4 * self.width + 2 * self.inner)
        return self.width * (self.words + self.positions) + self.layers * block

    def layer(self, tokens: int) -> int:
        """Bytes that a layer keeps of a token among so many: states, what is between the widths, attention thrice."""
        return FLOAT * (10 * self.width + 2 * self.inner + 3 * self.heads * tokens)

    def step(self, texts: int, tokens: int) -> int:
        """Bytes that are kept of so many texts of so many tokens."""
        return texts * tokens * (self.layers * self.layer(tokens) + FLOAT * 2 * self.width)

    def guess(self, texts: int, tokens: int) -> int:
        """As ``step``, where words are guessed."""
        return self.step(texts, tokens) + FLOAT * texts * tokens * (4 * self.width + LOGITS * self.words)


def shape_of(folder: Path) -> Shape:
    """Of a local BERT-family folder. Raises: Unreadable, Unacceptable."""
    check_model_folder(folder)
    try:
        said = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return Shape(
            said.hidden_size, said.num_hidden_layers, getattr(said, "intermediate_size", 4 * said.hidden_size),
            said.num_attention_heads, said.vocab_size, said.max_position_embeddings,
        )  # fmt: skip
    except (OSError, ValueError, AttributeError) as error:
        raise Unreadable(Reason.INVALID_FIELD, f"{folder}/config.json says no shape of a BERT: {error}") from error


def planned(size: EncoderSize) -> Shape:
    """Of an encoder that is made from scratch."""
    return Shape(size.dim, size.layers, 2 * size.dim, size.attention_heads, size.vocabulary, max(size.max_tokens, 16))


def reading_needs(shape: Shape, most_tokens: int) -> tuple[Need, ...]:
    """What making vectors needs beside a training's own."""
    tokens = min(most_tokens, shape.positions)
    return (Need(_named(shape), READ * FLOAT * shape.weights + BATCH * tokens * shape.layer(tokens)),)


def pretraining_needs(said: Sequence[Said], size: EncoderSize, start: Path | None) -> tuple[Need, ...]:
    """What pretraining on ``said`` needs beside these.

    The most that the process had, measured (foreseen), of 64 tokens: a BERT of 110 million weights, 10.5 GB (12.2); a
    new one of width 96 on 10,953 short texts, 1.6 GB (1.3).
    """
    shape = shape_of(start) if start else planned(size)
    texts = [each.text for each in said]
    tokens = min(size.max_tokens, shape.positions, _longest(texts))
    pairs = sum(bool(each.product) for each in said) - len({each.product for each in said if each.product})
    step = max(shape.guess(min(BATCH, len(texts)), tokens), shape.step(2 * min(BATCH, pairs), tokens))
    return (
        Need("the program", PROGRAM),
        Need(f"{len(texts):,} texts", len(texts) * TEXT + (0 if start else _tokenizer(texts))),
        *_learning(shape, LEARNED, step),
    )


def finetuning_needs(pairs: Sequence[Pair], classes: int, plan: HeadPlan, start: Path | None) -> tuple[Need, ...]:
    """What learning from ``pairs`` needs beside these. ``classes``: 0 for a number, which has no n-grams beside it.

    The most that the process had, measured (foreseen): a BERT of 110 million weights, 128 tokens, 10.6 GB (9.4); a new
    one of width 96 on 3,179 texts of 10 classes, 1.6 GB (1.9).
    """
    shape = shape_of(start) if start else planned(plan.encoder)
    tokens = min(plan.encoder.max_tokens, shape.positions, _longest(map("".join, pairs)))
    step = shape.step(min(plan.batch, len(pairs)), tokens)
    if start is None and plan.encoder.masked_epochs:
        step = max(step, shape.guess(min(BATCH, len(pairs)), min(WORD_TOKENS, tokens)))
    texts = len(pairs) * (TEXT + classes * LOGIT) + (0 if start else _tokenizer(chain.from_iterable(pairs)))
    beside = (Need("character n-grams", _ngrams(pairs, classes)),)
    return (
        Need("the program", PROGRAM),
        Need(f"{len(pairs):,} texts", texts),
        *max(beside, _learning(shape, TUNED, step), key=whole_of),  # one is done with before the other begins
    )


def _learning(shape: Shape, copies: int, step: int) -> tuple[Need, ...]:
    return (
        Need(_named(shape), copies * FLOAT * shape.weights),
        Need("a step of its training", int(SPARE * step)),
    )


def _named(shape: Shape) -> str:
    return f"an encoder of {shape.weights / 1e6:.1f} million weights"


def _ngrams(pairs: Sequence[Pair], classes: int) -> int:
    met = len(LENGTHS) * sum(min(len(pair.text), LONGEST) for pair in pairs)
    return classes and met * GRAM + SOLVED * classes * min(met, BUCKETS, MOST_WEIGHTS // classes)


def _tokenizer(texts: Iterable[str]) -> int:
    return int(WORD * FIRST * sum(map(len, dict.fromkeys(texts))) ** SHARE)


def _longest(texts: Iterable[str]) -> int:
    """Tokens at the most: a letter each, and those that mark where a text ends."""
    return max(map(len, texts), default=0) + 3
