"""A WordPiece tokenizer from texts, the same for the same texts.

The pieces are made by byte-pair merging (Sennrich et al., 2016) as the ``tokenizers`` library makes them; its own
trainer breaks ties by the order of a hash map, so that two runs have two vocabularies. Here ties go by the alphabet.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import pairwise

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, CLS, SEP, MASK = 0, 2, 3, 4
MORE = "##"  # begins a piece that goes on within a word
LEAST = 2  # a pair that occurs but once is not worth a piece

Pair = tuple[str, str]


def train_tokenizer(texts: Iterable[str], vocabulary: int, max_tokens: int) -> Tokenizer:
    """At most ``vocabulary`` pieces, more only where the characters alone are more. Chinese characters are words."""
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )  # fmt: skip
    known = {piece: number for number, piece in enumerate((*SPECIAL, *pieces(words, vocabulary - len(SPECIAL))))}
    tokenizer = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding(pad_id=PAD)
    return tokenizer


def pieces(words: Counter[str], size: int) -> list[str]:
    """All characters, as a word's beginning and within it, then the most frequent pairs of pieces, merged in turn."""
    made = {word: [word[0], *(MORE + letter for letter in word[1:])] for word in sorted(words)}
    found = dict.fromkeys(sorted({piece for parts in made.values() for piece in parts}))
    pairs = Pairs()
    for word, parts in made.items():
        pairs.count(word, parts, words[word])
    while len(found) < size and (pair := pairs.most_frequent()):
        found[_joined(pair)] = None
        for word in sorted(pairs.where[pair]):
            pairs.count(word, made[word], -words[word])
            made[word] = _merged(made[word], pair)
            pairs.count(word, made[word], words[word])
    return list(found)


class Pairs:
    """How often each pair of pieces occurs, and in which words."""

    def __init__(self) -> None:
        self.where: defaultdict[Pair, set[str]] = defaultdict(set)
        self._counts: Counter[Pair] = Counter()
        self._heap: list[tuple[int, Pair]] = []  # with counts of old as well: looked at when they come up

    def count(self, word: str, parts: Sequence[str], times: int) -> None:
        """Add a word's pairs, or take them out with ``times`` below 0."""
        for pair in pairwise(parts):
            self._counts[pair] += times
            if times > 0:
                self.where[pair].add(word)
            heappush(self._heap, (-self._counts[pair], pair))

    def most_frequent(self) -> Pair | None:
        """The first by the alphabet among equals; None if no pair occurs ``LEAST`` times."""
        while self._heap:
            count, pair = heappop(self._heap)
            if -count == self._counts[pair]:
                return pair if -count >= LEAST else None
        return None


def _merged(parts: Sequence[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] = _joined(pair)
        else:
            merged.append(part)
    return merged


def _joined(pair: Pair) -> str:
    return pair[0] + pair[1].removeprefix(MORE)
