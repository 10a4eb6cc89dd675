"""A classifier's or a regressor's bundle at work: texts in, scores out, through its own tokenizer and ONNX Runtime."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from tokenizers import Tokenizer

from contracts.biases import Biases
from contracts.bundle import BIASES, HEAD_FILES, TOKENIZER, Bundle
from contracts.errors import BundleRefused
from contracts.items import Floats
from contracts.ngrams import NGRAM_INPUTS, ngrams
from contracts.pairs import Pair, inputs_of
from contracts.settings import ModelSettings
from inference.encoder import INPUTS, padded
from inference.padding import shapes
from inference.session import Model

BATCH = 32


class Label(NamedTuple):
    """The likeliest class of a text, and how likely it is held to be."""

    name: str
    probability: float


class Head:
    """Scores of texts, or of pairs of texts. ``device``: see ``Model``.

    Raises (when it is made): BundleRefused, where the bundle is of another kind; EnvironmentRefused.
    """

    def __init__(self, bundle: Bundle, settings: ModelSettings, device: str | None = None) -> None:
        manifest = bundle.manifest
        if manifest.kind not in HEAD_FILES:
            raise BundleRefused(f"{bundle.folder} is a {manifest.kind}'s bundle: it scores no texts")
        file = HEAD_FILES[manifest.kind]
        taken = {each.name for graph in manifest.graphs if graph.file == file for each in graph.inputs}
        self._reads_ngrams = not taken.isdisjoint(NGRAM_INPUTS)
        names = (*INPUTS, *NGRAM_INPUTS) if self._reads_ngrams else INPUTS
        self._model = Model(bundle, file, names, "scores", settings, device)
        self._tokenizer = Tokenizer.from_str(bundle.read(TOKENIZER).decode())
        self._tokenizer.enable_truncation(manifest.max_tokens)
        self._tokenizer.no_padding()
        self._most = {"texts": BATCH, "tokens": manifest.max_tokens}
        self.outputs, self.bundle, self.provider = manifest.heads, bundle, self._model.provider

    def warm(self) -> None:
        """A first text; where shapes are few, one of each. Raises: ModelUnavailable."""
        self.scores([Pair("warm")])
        for sizes in shapes(self._most) if self._model.bound else ():
            self.scores([Pair("a " * (sizes["tokens"] - 2))] * sizes["texts"])  # a text begins and ends with a token

    def scores(self, pairs: Sequence[Pair]) -> Floats:
        """[n, outputs]: logits of the classes, or the number. Raises: ModelUnavailable."""
        found = np.zeros((len(pairs), len(self.outputs)), np.float32)
        tokens = self._tokenizer.encode_batch(inputs_of(pairs))
        order = sorted(range(len(pairs)), key=lambda i: len(tokens[i].ids))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            letters = ngrams([pairs[i].text for i in some])._asdict() if self._reads_ngrams else {}
            beside = {f"gram_{name}": values for name, values in letters.items()}
            found[some] = self._model.run({**padded([tokens[i] for i in some]), **beside})
        return found

    def labels(self, texts: Sequence[str]) -> list[Label]:
        """The likeliest class of each text. Raises: ModelUnavailable."""
        logits = self.scores([Pair(text) for text in texts]).astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(logits) else logits
        shares /= shares.sum(axis=1, keepdims=True)
        best = shares.argmax(axis=1) if len(logits) else np.zeros(0, np.int64)
        return [Label(self.outputs[place], float(shares[row, place])) for row, place in enumerate(best)]


def biases_of(bundle: Bundle) -> Biases:
    """A regressor's biases. Raises: BundleRefused, where there are none."""
    try:
        return msgspec.json.decode(bundle.read(BIASES), type=Biases)
    except msgspec.DecodeError as error:
        raise BundleRefused(f"{bundle.folder}: {BIASES} cannot be read: {error}") from error
