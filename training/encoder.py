"""The text encoder: a small BERT, pretrained by us on the catalogue's own text, or any local BERT-family folder.

What it is taught: ``training/text_lessons.py``. After that it is frozen: an item's vector is the mean of its last layer
over the text, of unit length.
"""

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
from training.batching import BATCH
from training.compute import ON_CPU, device_of
from training.config import EncoderSize
from training.weights import SAFE, lacking, pickled
from training.wordpiece import PAD

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
