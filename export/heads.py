"""``export_head``: a fine-tuned head in; one ONNX file, its tokenizer, its biases, the proof and its figures out.

The figures are measured with the file that was just written, through ONNX Runtime, before the manifest is sealed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace
from tokenizers import Tokenizer

from contracts.bundle import (
    BIASES,
    BUNDLE,
    HEAD_FILES,
    SCHEMA,
    TOKENIZER,
    Bundle,
    Figure,
    Graph,
    Manifest,
    Parity,
    entries,
    write_manifest,
)
from contracts.ngrams import NGRAM_INPUTS
from contracts.pairs import Pair
from contracts.precision import Precision
from contracts.whole_folder import replaced
from export.golden import EDGES, ENCODER_INPUTS, TITLES, Cases
from export.graphs import Wanted
from export.parity import HEAD_OUTPUTS, Planned
from export.sealing import versions
from export.variants import write_planned
from training.head import Head, Model, WithNgrams, load_head, model_inputs
from training.telling import Say

Measure = Callable[[Bundle], tuple[Figure, ...]]


def export_head(
    folder: Path, out: Path, name: str = "daogou", say: Say = lambda _: None, variants: Sequence[Precision] = (),
    measure: Measure = lambda _: (), keep_slow: bool = False,
) -> Bundle:  # fmt: skip
    """Export what ``save_head`` wrote. ``measure`` is given the sealed bundle; its figures go into the manifest.

    Raises:
        Unreadable: it is no fine-tuned head.
        Unacceptable: its weights are pickles.
        ExportRefused: the graph disagrees with PyTorch.
    """
    head, model, tokenizer = load_head(folder)
    inputs = (*ENCODER_INPUTS, *NGRAM_INPUTS) if isinstance(model, WithNgrams) else ENCODER_INPUTS
    wanted = Wanted(HEAD_FILES[head.kind], inputs, HEAD_OUTPUTS)
    with replaced(out, BUNDLE) as part:
        planned = Planned(wanted, model, head_cases(model, tokenizer, head))
        graph, parities = write_planned(planned, part, variants, say, keep_slow)
        (part / TOKENIZER).write_text(tokenizer.to_str())
        manifest = _manifest(part, head, name, graph, parities)
        figures = measure(write_manifest(part, manifest))
        facts = replace(head.facts, metrics=(*head.facts.metrics, *figures))
        sealed = write_manifest(part, replace(manifest, training=facts))
    return Bundle(out, sealed.manifest, sealed.digest)


def head_cases(model: Model, tokenizer: Tokenizer, head: Head) -> Cases:
    """Texts of its own trade in one batch, then every edge case alone, and one beside the longest history."""
    golden = model_inputs(model, tokenizer, (*head.probes, *(Pair(text) for text in TITLES)))
    long = Pair("红色连衣裙", "a coat ; " * 200)
    alone = (*(Pair(text) for text in EDGES), long)
    return (golden, *(model_inputs(model, tokenizer, [pair]) for pair in alone))


def _manifest(part: Path, head: Head, name: str, graph: Graph, parities: Sequence[Parity]) -> Manifest:
    files = [TOKENIZER, *(parity.file for parity in parities)]
    if head.biases is not None:
        (part / BIASES).write_bytes(msgspec.json.encode(head.biases) + b"\n")
        files.append(BIASES)
    return Manifest(
        schema=SCHEMA, kind=head.kind, name=name, features_version=0, features=(), heads=head.outputs,
        text_dim=0, delta_dim=0, max_tokens=head.max_tokens, history_limit=0, files=entries(part, tuple(files)),
        graphs=(graph,), parity=tuple(parities), training=head.facts, versions=versions(),
    )  # fmt: skip
