"""``export_encoder``: a local text encoder in, one ONNX file with its tokenizer and the proof out."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer, normalizers
from torch import Tensor, nn
from transformers import AutoModel

from contracts.bundle import (
    ITEM_ENCODER,
    SCHEMA,
    TOKENIZER,
    Bundle,
    Manifest,
    TrainingFacts,
    Version,
    entries,
    write_manifest,
)
from contracts.errors import Reason, Unacceptable
from contracts.precision import Precision
from export.folders import Described, Pooling, described, positions
from export.golden import ENCODER_INPUTS, encoder_cases
from export.graphs import Wanted
from export.parity import Planned
from export.sealing import LIBRARIES, replaced
from export.variants import Say, write_planned
from training.encoder import check_model_folder

MAX_TOKENS = 128  # of a plain folder, which does not say how long a text should be: a title and a description

UNTRAINED = TrainingFacts(data_digest="none", events=0, shoppers=0, items=0, seed=0)


class PooledEncoder(nn.Module):
    """Token ids -> one vector a text: the mean of the last layer's states, or the first token's (cls)."""

    def __init__(self, transformer: nn.Module, pooling: Pooling, normalize: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self._pooling, self._normalize = pooling, normalize

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """``input_ids`` and ``attention_mask`` [n, T] int64 -> [n, dim] float32."""
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled: Tensor = states[:, 0] if self._pooling == "cls" else (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return pooled / pooled.norm(dim=-1, keepdim=True).clamp(min=1e-6) if self._normalize else pooled


def export_encoder(
    folder: Path, out: Path, name: str, variants: Sequence[Precision] = (), say: Say = lambda _: None
) -> Bundle:
    """Export a folder in Hugging Face's or sentence-transformers' form.

    Raises:
        Unreadable: a file of it is missing, or is not what its name says.
        Unacceptable: pickled weights, weights that do not fit, or a part that cannot be exported, by name.
        ExportRefused: the graph disagrees with PyTorch.
    """
    plan = described(folder)
    encoder, tokenizer = load_pooled(plan)
    planned = Planned(Wanted(ITEM_ENCODER, ENCODER_INPUTS, ("vectors",)), encoder, encoder_cases(tokenizer))
    with replaced(out) as part:
        graph, parities = write_planned(planned, part, variants, say)
        (part / TOKENIZER).write_text(tokenizer.to_str())
        files = (TOKENIZER, *(parity.file for parity in parities))
        sealed = write_manifest(
            part,
            Manifest(
                schema=SCHEMA, kind="encoder", name=name, features_version=0, features=(), heads=(),
                text_dim=int(encoder.transformer.config.hidden_size),  # type: ignore[union-attr,arg-type]
                delta_dim=0, max_tokens=int((tokenizer.truncation or {})["max_length"]), history_limit=0,
                files=entries(part, files), graphs=(graph,), parity=parities, training=UNTRAINED,
                versions=tuple(Version(library=each, version=version(each)) for each in LIBRARIES),
            ),
        )  # fmt: skip
    return Bundle(out, sealed.manifest, sealed.digest)


def load_pooled(plan: Described) -> tuple[PooledEncoder, Tokenizer]:
    """The encoder that the folder describes, and its tokenizer, which cuts texts as the folder says.

    Raises: Unreadable, Unacceptable.
    """
    check_model_folder(plan.transformer)
    encoder = PooledEncoder(_transformer(plan.transformer), plan.pooling, plan.normalize).eval()
    tokenizer = Tokenizer.from_file(str(plan.transformer / "tokenizer.json"))
    if plan.lower_case:
        parts = [normalizers.Lowercase(), tokenizer.normalizer] if tokenizer.normalizer else [normalizers.Lowercase()]
        tokenizer.normalizer = normalizers.Sequence(parts)
    tokenizer.enable_truncation(min(plan.max_tokens or MAX_TOKENS, positions(plan.transformer)))
    tokenizer.enable_padding(pad_id=int(encoder.transformer.config.pad_token_id or 0))  # type: ignore[union-attr,arg-type]
    return encoder, tokenizer


def _transformer(folder: Path) -> nn.Module:
    """Its weights, all of them: what is missing would be drawn at random, and nobody would say so."""
    model, told = AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, attn_implementation="eager", trust_remote_code=False,
        output_loading_info=True,
    )  # fmt: skip
    missing = sorted(name for name in told["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise Unacceptable(
            Reason.NOT_APPLICABLE,
            f"{folder}: the weights lack {len(missing)} tensors that config.json asks for, {missing[0]} the first",
        )
    return model  # type: ignore[no-any-return]
