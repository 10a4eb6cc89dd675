"""Texts -> unit vectors, through the bundle's tokenizer and encoder."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from contracts.bundle import ITEM_ENCODER, TOKENIZER, Bundle
from contracts.items import Floats
from contracts.settings import ModelSettings
from inference.session import Model

BATCH = 32


class Encoder:
    """``item_encoder.onnx`` and its tokenizer. Texts are sorted by length, so that little is padding."""

    def __init__(self, bundle: Bundle, settings: ModelSettings) -> None:
        self._model = Model(bundle, ITEM_ENCODER, settings)
        self._tokenizer = Tokenizer.from_str(bundle.read(TOKENIZER).decode())
        self._tokenizer.enable_truncation(bundle.manifest.max_tokens)
        self._tokenizer.enable_padding()
        self.dim = bundle.manifest.text_dim

    def encode(self, texts: Sequence[str]) -> Floats:
        """[n, text_dim] float32, each of unit length."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            vectors[some] = self._forward([texts[i] for i in some])
        return vectors

    def _forward(self, texts: Sequence[str]) -> Floats:
        tokens = self._tokenizer.encode_batch(list(texts))
        ids = np.array([t.ids for t in tokens], np.int64)
        mask = np.array([t.attention_mask for t in tokens], np.int64)
        return self._model.run({"input_ids": ids, "attention_mask": mask})[0]
