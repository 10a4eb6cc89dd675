"""``export_bundle``: a checkpoint in, a verified bundle out: three graphs, tokenizer, deltas, manifest with the proof.

A graph is written, loaded into ONNX Runtime, and compared with PyTorch on a golden batch and on edge cases. Where they
disagree there is no bundle. Nothing in it depends on the day or the machine, but which int8 graphs pay: exported twice,
it has the same digest.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from safetensors.numpy import save
from tokenizers import Tokenizer

from contracts.bundle import (
    BUNDLE,
    ITEM_DELTAS,
    ITEM_ENCODER,
    RANKER,
    RETRIEVER,
    SCHEMA,
    TOKENIZER,
    Bundle,
    Graph,
    Manifest,
    Parity,
    entries,
    write_manifest,
)
from contracts.errors import Reason, Unacceptable
from contracts.features import FEATURES, FEATURES_VERSION, HISTORY_INPUTS, ORDER_HEADS, RANKER_INPUTS
from contracts.precision import Precision
from contracts.whole_folder import replaced
from export.golden import ENCODER_INPUTS, encoder_cases, ranker_cases, retriever_cases
from export.graphs import Wanted
from export.parity import Planned
from export.sealing import versions
from export.variants import write_planned
from training.config import ENCODER_FOLDER, RANKER_WEIGHTS, Checkpoint, load_checkpoint, load_item_ids
from training.encoder import TextEncoder, load_encoder
from training.model import Ranker, Retriever
from training.telling import Say
from training.weights import fill, read_tensors, tensor_of


def export_bundle(
    checkpoint: Path, out: Path, name: str = "daogou", say: Say = lambda _: None, variants: Sequence[Precision] = (),
    keep_slow: bool = False,
) -> Bundle:  # fmt: skip
    """Export a checkpoint folder, each graph in fp32 and, where they pass their gates and pay, in ``variants``.

    Raises:
        Unreadable: it is no checkpoint, or a file of it is damaged.
        Unacceptable: its weights are pickles, or do not fit each other.
        ExportRefused: a graph disagrees with PyTorch; the message says which, where and by how much.
    """
    plan = load_checkpoint(checkpoint)
    ranker = load_ranker(checkpoint, plan)
    encoder, tokenizer = load_encoder(checkpoint / ENCODER_FOLDER, plan.max_tokens)
    _check_width(encoder, plan, checkpoint)
    deltas = _deltas(checkpoint, plan)
    with replaced(out, BUNDLE) as part:
        planned = _planned(ranker, encoder, tokenizer, plan)
        found = [write_planned(one, part, variants, say, keep_slow) for one in planned]
        (part / TOKENIZER).write_text(tokenizer.to_str())
        (part / ITEM_DELTAS).write_bytes(deltas)
        bundle = _sealed(part, found, plan, name)
    return Bundle(out, bundle.manifest, bundle.digest)


def load_ranker(folder: Path, checkpoint: Checkpoint) -> Ranker:
    """The ranker of a checkpoint, ready to answer.

    Raises:
        Unreadable: the weights are damaged.
        Unacceptable: they are no safetensors, or not those of the model that the checkpoint describes.
    """
    path = folder / RANKER_WEIGHTS
    size = checkpoint.plan.ranker
    ranker = Ranker(size, checkpoint.text_dim + size.delta_dim)
    state = {k.removeprefix("ranker."): v for k, v in read_tensors(path).items() if k.startswith("ranker.")}
    fill(ranker, state, path)
    ranker.keep_outcomes(checkpoint.outcomes)
    return ranker.eval()


def _planned(ranker: Ranker, encoder: TextEncoder, tokenizer: Tokenizer, plan: Checkpoint) -> tuple[Planned, ...]:
    dim, limit = plan.text_dim + plan.plan.ranker.delta_dim, plan.plan.ranker.history_limit
    retriever = Retriever(ranker).eval()
    return (
        Planned(Wanted(ITEM_ENCODER, ENCODER_INPUTS, ("vectors",)), encoder, encoder_cases(tokenizer)),
        Planned(Wanted(RETRIEVER, HISTORY_INPUTS, ("query",)), retriever, retriever_cases(dim, limit)),
        Planned(Wanted(RANKER, RANKER_INPUTS, ("logits",)), ranker, ranker_cases(dim, limit)),
    )


def _sealed(part: Path, found: Sequence[tuple[Graph, tuple[Parity, ...]]], plan: Checkpoint, name: str) -> Bundle:
    parities = tuple(parity for _, proved in found for parity in proved)
    files = (TOKENIZER, ITEM_DELTAS, *(parity.file for parity in parities))
    return write_manifest(
        part,
        Manifest(
            schema=SCHEMA, name=name, features_version=FEATURES_VERSION, features=FEATURES,
            heads=(*ORDER_HEADS, *plan.outcomes),
            text_dim=plan.text_dim, delta_dim=plan.plan.ranker.delta_dim, max_tokens=plan.max_tokens,
            history_limit=plan.plan.ranker.history_limit, files=entries(part, files),
            graphs=tuple(graph for graph, _ in found), parity=parities, training=plan.facts,
            versions=versions(), prerank=plan.prerank,
        ),
    )  # fmt: skip


def _check_width(encoder: TextEncoder, plan: Checkpoint, checkpoint: Path) -> None:
    width = int(encoder.bert.config.hidden_size)  # type: ignore[union-attr,arg-type]
    if width != plan.text_dim:
        raise Unacceptable(
            Reason.NOT_APPLICABLE,
            f"{checkpoint / ENCODER_FOLDER} makes vectors of {width} numbers, the ranker reads {plan.text_dim}",
        )


def _deltas(checkpoint: Path, plan: Checkpoint) -> bytes:
    """Raises: Unreadable, Unacceptable, where there is no delta for each item."""
    ids, path = load_item_ids(checkpoint), checkpoint / RANKER_WEIGHTS
    deltas = tensor_of(read_tensors(path), "deltas", (len(ids), plan.plan.ranker.delta_dim), path)
    return save({"deltas": deltas.numpy(), "item_ids": np.frombuffer(msgspec.json.encode(ids), np.uint8)})
