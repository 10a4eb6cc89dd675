"""``export_bundle``: a checkpoint in, a verified bundle out: three graphs, tokenizer, deltas, manifest with the proof.

A graph is written, loaded into ONNX Runtime, and compared with PyTorch on a golden batch and on edge cases. Where they
disagree there is no bundle. Nothing in it depends on the day or the machine: exported twice, it has the same digest.
"""

import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import msgspec
import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from contracts.bundle import (
    ITEM_DELTAS,
    ITEM_ENCODER,
    RANKER,
    RETRIEVER,
    SCHEMA,
    TOKENIZER,
    Bundle,
    Manifest,
    Parity,
    Version,
    entries,
    write_manifest,
)  # fmt: skip
from contracts.errors import ExportRefused, Reason, Unacceptable
from contracts.features import FEATURES, FEATURES_VERSION, HEADS, HISTORY_INPUTS, RANKER_INPUTS
from export.golden import ENCODER_INPUTS, Cases, encoder_cases, ranker_cases, retriever_cases
from export.graphs import Wanted, write_graph
from export.parity import compare
from training.config import ENCODER_FOLDER, RANKER_WEIGHTS, Checkpoint, load_checkpoint, load_item_ids
from training.encoder import TextEncoder, load_encoder
from training.model import Ranker, Retriever

TOLERANCE = 1e-3
LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "safetensors", "tokenizers", "torch", "transformers")

Say = Callable[[str], None]
Graphs = tuple[tuple[Wanted, nn.Module, Cases], ...]


def export_bundle(checkpoint: Path, out: Path, name: str = "daogou", say: Say = lambda _: None) -> Bundle:
    """Export a checkpoint folder.

    Raises:
        Unreadable: it is no checkpoint.
        Unacceptable: its weights are pickles.
        ExportRefused: a graph disagrees with PyTorch; the message says which, where and by how much.
    """
    plan = load_checkpoint(checkpoint)
    ranker = load_ranker(checkpoint, plan)
    encoder, tokenizer = load_encoder(checkpoint / ENCODER_FOLDER, plan.max_tokens)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.{uuid4().hex[:8]}.part")
    part.mkdir()
    try:
        bundle = _filled(part, _graphs(ranker, encoder, tokenizer, plan), checkpoint, plan, tokenizer, name, say)
        if out.exists():
            shutil.rmtree(out)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Bundle(out, bundle.manifest, bundle.digest)


def load_ranker(folder: Path, checkpoint: Checkpoint) -> Ranker:
    """The ranker of a checkpoint, ready to answer. Raises: Unacceptable where the weights are no safetensors."""
    path = folder / RANKER_WEIGHTS
    if not path.exists():
        raise Unacceptable(
            Reason.NOT_APPLICABLE,
            f"{folder} has no {RANKER_WEIGHTS}; pickles (*.pt, *.bin) are refused: they run code",
        )
    size = checkpoint.plan.ranker
    ranker = Ranker(size, checkpoint.text_dim + size.delta_dim)
    state = {k.removeprefix("ranker."): v for k, v in load_file(path).items() if k.startswith("ranker.")}
    ranker.load_state_dict(state)
    return ranker.eval()


def _graphs(ranker: Ranker, encoder: TextEncoder, tokenizer: Tokenizer, plan: Checkpoint) -> Graphs:
    dim, limit = plan.text_dim + plan.plan.ranker.delta_dim, plan.plan.ranker.history_limit
    return (
        (Wanted(ITEM_ENCODER, ENCODER_INPUTS, ("vectors",)), encoder, encoder_cases(tokenizer)),
        (Wanted(RETRIEVER, HISTORY_INPUTS, ("query",)), Retriever(ranker).eval(), retriever_cases(dim, limit)),
        (Wanted(RANKER, RANKER_INPUTS, ("logits",)), ranker, ranker_cases(dim, limit)),
    )


def _filled(
    part: Path, graphs: Graphs, checkpoint: Path, plan: Checkpoint, tokenizer: Tokenizer, name: str, say: Say
) -> Bundle:
    described, parities = [], []
    for wanted, module, cases in graphs:
        say(f"exporting {wanted.file}")
        described.append(write_graph(module, wanted, cases[0], part))
        parity = checked(module, wanted, cases, part)
        parities.append(parity)
        say(f"{wanted.file}: at most {parity.max_abs_difference:.1e} from PyTorch, top 10 kept {parity.top10_kept:.0%}")
    (part / TOKENIZER).write_text(tokenizer.to_str())
    (part / ITEM_DELTAS).write_bytes(_deltas(checkpoint))
    files = (ITEM_ENCODER, RETRIEVER, RANKER, TOKENIZER, ITEM_DELTAS)
    return write_manifest(
        part,
        Manifest(
            schema=SCHEMA, name=name, features_version=FEATURES_VERSION, features=FEATURES, heads=HEADS,
            text_dim=plan.text_dim, delta_dim=plan.plan.ranker.delta_dim, max_tokens=plan.max_tokens,
            history_limit=plan.plan.ranker.history_limit, files=entries(part, files), graphs=tuple(described),
            parity=tuple(parities), training=plan.facts,
            versions=tuple(Version(library=name, version=version(name)) for name in LIBRARIES),
        ),
    )  # fmt: skip


def checked(module: nn.Module, wanted: Wanted, cases: Cases, folder: Path) -> Parity:
    """The parity of a written graph. Raises: ExportRefused."""
    parity = compare(module, folder / wanted.file, wanted, cases, TOLERANCE)
    if not parity.max_abs_difference <= TOLERANCE:  # also where it is NaN
        raise ExportRefused(
            f"{wanted.file} differs from PyTorch by up to {parity.max_abs_difference:.2g}; at most {TOLERANCE:g} is "
            f"allowed (rank correlation {parity.rank_correlation:.4f}, top 10 kept {parity.top10_kept:.0%})"
        )
    return parity


def _deltas(checkpoint: Path) -> bytes:
    ids = np.frombuffer(msgspec.json.encode(load_item_ids(checkpoint)), np.uint8)
    with torch.no_grad():
        deltas = load_file(checkpoint / RANKER_WEIGHTS)["deltas"].numpy()
    return save({"deltas": deltas, "item_ids": ids})
