"""Damaged checkpoints and heads: one line that names the file and what is wrong with it, never a traceback."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from contracts.bundle import TrainingFacts
from contracts.errors import Unacceptable, Unreadable
from contracts.ngrams import BUCKETS
from contracts.pairs import Pair
from launch.cli import run
from tests.trained import Trained
from training.config import CONFIG, ITEM_IDS, RANKER_WEIGHTS, EncoderSize
from training.encoder import new_model
from training.hashed_ngrams import HashedNgrams
from training.head import WEIGHTS, Head, HeadModel, Tuned, load_head, save_head
from training.wordpiece import train_tokenizer

Spoil = Callable[[Path], object]


def cut(name: str) -> Spoil:
    """The file's first half alone, as an interrupted copy leaves it."""
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def without(file: str, tensor: str) -> Spoil:
    def spoil(folder: Path) -> None:
        save_file({k: v for k, v in load_file(folder / file).items() if k != tensor}, folder / file)

    return spoil


def reshaped(file: str, tensor: str) -> Spoil:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / file)
        save_file({**tensors, tensor: torch.zeros(*tensors[tensor].shape, 2)}, folder / file)

    return spoil


def described(key: str, value: object) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / CONFIG
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return spoil


ENCODER = "encoder/model.safetensors"
EMBEDDINGS = "embeddings.word_embeddings.weight"
CHECKPOINTS: dict[str, tuple[Spoil, str]] = {
    "half the weights": (cut(RANKER_WEIGHTS), r"ranker\.safetensors cannot be read: "),
    "half the encoder": (cut(ENCODER), r"encoder cannot be loaded: "),
    "half the items": (cut(ITEM_IDS), r"items\.json cannot be read: "),
    "no items": (lambda folder: (folder / ITEM_IDS).unlink(), r"items\.json cannot be read: "),
    "a tensor less": (
        without(RANKER_WEIGHTS, "ranker.query.bias"),
        r"ranker\.safetensors does not fit the model beside it: query\.bias is missing, \[40\]",
    ),
    "a tensor more": (
        lambda folder: save_file(
            {**load_file(folder / RANKER_WEIGHTS), "ranker.more": torch.zeros(1)}, folder / RANKER_WEIGHTS
        ),
        r"more is and the model has no such tensor",
    ),
    "another shape": (reshaped(RANKER_WEIGHTS, "ranker.query.bias"), r"query\.bias is of shape \[40, 2\], not \[40\]"),
    "no deltas": (without(RANKER_WEIGHTS, "deltas"), r"deltas is missing, \[\d+, 8\]"),
    "an item less": (
        lambda folder: (folder / ITEM_IDS).write_text(json.dumps(json.loads((folder / ITEM_IDS).read_text())[1:])),
        r"deltas is of shape \[\d+, 8\], not \[\d+, 8\]",
    ),
    "an encoder's other shape": (
        reshaped(ENCODER, EMBEDDINGS),
        r"have in another shape 1 tensors that config\.json asks for, embeddings\.word",
    ),
    "another size": (described("text_dim", 16), r"ranker\.safetensors does not fit .* tensors in all do not fit"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_damaged_checkpoint_is_one_clear_line(
    trained: Trained, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, said = CHECKPOINTS[name]
    folder = tmp_path / "checkpoint"
    shutil.copytree(trained.checkpoint, folder)
    spoil(folder)
    assert run(["export", str(folder), "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1, err
    assert re.search(said, err), err
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of random weights, with n-grams beside it."""
    torch.manual_seed(0)
    size = EncoderSize(dim=16, layers=1, vocabulary=60, max_tokens=16)
    tokenizer = train_tokenizer(["red wool coat", "blue lamp"], size.vocabulary, size.max_tokens)
    model = HeadModel(new_model(tokenizer, size).bert, 2)
    facts = TrainingFacts(data_digest="none", events=2, shoppers=0, items=0, seed=0)
    said = Head(kind="classifier", outputs=("a", "b"), max_tokens=16, facts=facts, probes=(Pair("red coat"),))
    beside = HashedNgrams(torch.zeros(BUCKETS, dtype=torch.int64), torch.zeros(4, 3), torch.zeros(2))
    folder = tmp_path_factory.mktemp("head")
    save_head(folder, said, Tuned(model.eval(), tokenizer, 0.0), beside)
    return folder


HEADS: dict[str, tuple[Spoil, type[Exception], str]] = {
    "half the weights": (cut(WEIGHTS), Unreadable, r"head\.safetensors cannot be read: "),
    "pickles": (
        lambda folder: (folder / WEIGHTS).rename(folder / "head.pth"),
        Unacceptable,
        r"no head\.safetensors; a pickle .* Convert it where you trust it: safetensors",
    ),
    "half the encoder": (cut(ENCODER), Unreadable, r"encoder cannot be loaded: "),
    "half the description": (cut("head.json"), Unreadable, r"head\.json cannot be read: "),
    "a tensor less": (without(WEIGHTS, "weight"), Unacceptable, r"weight is missing, \[2, 16\]"),
    "another shape": (reshaped(WEIGHTS, "bias"), Unacceptable, r"bias is of shape \[2, 2\], not \[2\]"),
    "n-grams without a table": (without(WEIGHTS, "ngrams.table"), Unacceptable, r"table is missing, \[0, 3\]"),
    "n-grams of other classes": (
        reshaped(WEIGHTS, "ngrams.bias"),
        Unacceptable,
        r"bias is of shape \[2, 2\], not \[2\]",
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_damaged_head_says_what_is_wrong(head: Path, tmp_path: Path, name: str) -> None:
    spoil, error, said = HEADS[name]
    shutil.copytree(head, tmp_path / "head")
    load_head(tmp_path / "head")
    spoil(tmp_path / "head")
    with pytest.raises(error, match=said):
        load_head(tmp_path / "head")
