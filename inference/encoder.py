"""Texts -> unit vectors, through the bundle's tokenizer and encoder."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from contracts.bundle import ITEM_ENCODER, TOKENIZER, Bundle
from contracts.items import Floats
from contracts.settings import ModelSettings
from inference.padding import shapes
from inference.session import Model

BATCH = 8
INPUTS = ("input_ids", "attention_mask")


class Encoder:
    """``item_encoder.onnx`` and its tokenizer. Texts are sorted by their tokens, so that little is padding.

    ``device``: see ``Model``.
    """

    def __init__(self, bundle: Bundle, settings: ModelSettings, device: str | None = None) -> None:
        self._model = Model(bundle, ITEM_ENCODER, INPUTS, "vectors", settings, device)
        self._most = {"texts": BATCH, "tokens": bundle.manifest.max_tokens}
        self._tokenizer = Tokenizer.from_str(bundle.read(TOKENIZER).decode())
        self._tokenizer.enable_truncation(bundle.manifest.max_tokens)
        self._tokenizer.no_padding()
        self.dim = bundle.manifest.text_dim

    def warm(self) -> None:
        """A first text; where shapes are few, one of each. Raises: ModelUnavailable."""
        self.encode(["warm"])
        for sizes in shapes(self._most) if self._model.bound else ():
            self._model.run({name: np.ones((sizes["texts"], sizes["tokens"]), np.int64) for name in INPUTS})

    def encode(self, texts: Sequence[str]) -> Floats:
        """[n, text_dim] float32, each of unit length; zeros for a text without any known token.

        Raises: ModelUnavailable.
        """
        vectors = np.zeros((len(texts), self.dim), np.float32)
        tokens = self._tokenizer.encode_batch(list(texts))
        order = sorted((i for i in range(len(texts)) if tokens[i].ids), key=lambda i: len(tokens[i].ids))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            vectors[some] = self._model.run(padded([tokens[i] for i in some]))
        vectors[~np.isfinite(vectors).all(axis=1)] = 0.0
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)


def padded(tokens: Sequence[Encoding]) -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """What a BERT's graph reads, by name: each text as long as the longest."""
    longest = max(len(each.ids) for each in tokens)
    ids = np.zeros((len(tokens), longest), np.int64)
    mask = np.zeros((len(tokens), longest), np.int64)
    for row, each in enumerate(tokens):
        ids[row, : len(each.ids)], mask[row, : len(each.ids)] = each.ids, 1
    return {"input_ids": ids, "attention_mask": mask}
