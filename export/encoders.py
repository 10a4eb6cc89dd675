"""``export_encoder``: a local text encoder in, one ONNX file with its tokenizer and the proof out."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, normalizers

from contracts.bundle import (
    BUNDLE,
    ITEM_ENCODER,
    SCHEMA,
    TOKENIZER,
    Bundle,
    Manifest,
    TrainingFacts,
    entries,
    write_manifest,
)
from contracts.precision import Precision
from contracts.whole_folder import replaced
from export.folders import Described, described, positions
from export.golden import ENCODER_INPUTS, encoder_cases
from export.graphs import Wanted
from export.parity import Planned
from export.sealing import versions
from export.variants import write_planned
from training.encoder import TextEncoder, load_transformer
from training.telling import Say

MAX_TOKENS = 128  # of a plain folder, which does not say how long a text should be: a title and a description

UNTRAINED = TrainingFacts(data_digest="none", events=0, shoppers=0, items=0, seed=0)


def export_encoder(
    folder: Path, out: Path, name: str, variants: Sequence[Precision] = (), say: Say = lambda _: None,
    keep_slow: bool = False,
) -> Bundle:  # fmt: skip
    """Export a folder in Hugging Face's or sentence-transformers' form.

    Raises:
        Unreadable: a file of it is missing, or is not what its name says.
        Unacceptable: pickled weights, weights that do not fit, or a part that cannot be exported, by name.
        ExportRefused: the graph disagrees with PyTorch.
    """
    plan = described(folder)
    encoder, tokenizer = load_pooled(plan)
    planned = Planned(Wanted(ITEM_ENCODER, ENCODER_INPUTS, ("vectors",)), encoder, encoder_cases(tokenizer))
    with replaced(out, BUNDLE) as part:
        graph, parities = write_planned(planned, part, variants, say, keep_slow)
        (part / TOKENIZER).write_text(tokenizer.to_str())
        files = (TOKENIZER, *(parity.file for parity in parities))
        sealed = write_manifest(
            part,
            Manifest(
                schema=SCHEMA, kind="encoder", name=name, features_version=0, features=(), heads=(),
                text_dim=int(encoder.bert.config.hidden_size),  # type: ignore[union-attr,arg-type]
                delta_dim=0, max_tokens=int((tokenizer.truncation or {})["max_length"]), history_limit=0,
                files=entries(part, files), graphs=(graph,), parity=parities, training=UNTRAINED,
                versions=versions(),
            ),
        )  # fmt: skip
    return Bundle(out, sealed.manifest, sealed.digest)


def load_pooled(plan: Described) -> tuple[TextEncoder, Tokenizer]:
    """The encoder that the folder describes, and its tokenizer, which cuts texts as the folder says.

    Raises: Unreadable, Unacceptable.
    """
    encoder = TextEncoder(load_transformer(plan.transformer), plan.pooling, plan.normalize).eval()
    tokenizer = Tokenizer.from_file(str(plan.transformer / "tokenizer.json"))
    if plan.lower_case:
        parts = [normalizers.Lowercase(), tokenizer.normalizer] if tokenizer.normalizer else [normalizers.Lowercase()]
        tokenizer.normalizer = normalizers.Sequence(parts)
    tokenizer.enable_truncation(min(plan.max_tokens or MAX_TOKENS, positions(plan.transformer)))
    tokenizer.enable_padding(pad_id=int(encoder.bert.config.pad_token_id or 0))  # type: ignore[union-attr,arg-type]
    return encoder, tokenizer
