"""Text encoders from local folders: four families, two forms, and everything that is refused with its reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, BertConfig, DistilBertConfig, MPNetConfig, RobertaConfig

from contracts.bundle import Bundle, open_bundle
from contracts.errors import BundleRefused, Unacceptable, Unreadable
from contracts.settings import EngineSettings, ModelSettings
from export.encoders import export_encoder
from export.folders import described
from inference.encoder import Encoder
from inference.serving import load
from launch.cli import run
from launch.training_run import transformer_of
from training.wordpiece import train_tokenizer

TEXTS = ["red wool coat", "a", "red wool coat with a very long description " * 20, "红色连衣裙，夏季新款", ""]
SIZE: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
POSITIONS = 40
CONFIGS: dict[str, Callable[..., Any]] = {
    "bert": lambda **given: BertConfig(**SIZE, **given),
    "distilbert": lambda **given: DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=48, **given),
    "roberta": lambda **given: RobertaConfig(**SIZE, pad_token_id=1, **given),
    "mpnet": lambda **given: MPNetConfig(**SIZE, pad_token_id=1, **given),
}


def model_folder(folder: Path, family: str = "bert") -> Path:
    """A model of random weights and a tokenizer that knows the texts."""
    tokenizer = train_tokenizer(TEXTS[:-1], 120, 512)
    torch.manual_seed(0)
    config = CONFIGS[family](vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=POSITIONS)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def pipeline_folder(folder: Path, pooling: dict[str, Any], normalize: bool = True) -> Path:
    """As sentence-transformers writes it."""
    model_folder(folder)
    kinds = ["Transformer", "Pooling", "Normalize"][: 3 if normalize else 2]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [{"idx": i, "name": str(i), "path": paths[i], "type": f"sentence_transformers.models.{kind}"}
               for i, kind in enumerate(kinds)]  # fmt: skip
    write(folder / "modules.json", modules)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, **pooling})
    return folder


def by_hand(folder: Path, pooling: str, limit: int) -> np.ndarray:
    """Each text alone through PyTorch, so that no padding can matter."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    rows = []
    for text in TEXTS:
        with torch.no_grad():
            states = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0].numpy()
        rows.append(states[0] if pooling == "cls" else states.mean(axis=0))
    return np.stack([row / np.linalg.norm(row) for row in rows])


@pytest.mark.parametrize(
    ("family", "limit"), [("distilbert", POSITIONS), ("roberta", POSITIONS - 2), ("mpnet", POSITIONS - 2)]
)
def test_a_folder_in_hugging_faces_form(tmp_path: Path, family: str, limit: int) -> None:
    """Served in one batch, it gives what PyTorch gives for each text alone, the longest that it takes included."""
    folder = model_folder(tmp_path / family, family)
    bundle = export_encoder(folder, tmp_path / "out", family)
    assert (bundle.manifest.kind, bundle.manifest.text_dim, bundle.manifest.max_tokens) == ("encoder", 32, limit)
    served = Encoder(bundle, ModelSettings()).encode(TEXTS)
    np.testing.assert_allclose(served, by_hand(folder, "mean", limit), atol=2e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A pipeline by its first token, exported by way of the command line with its variants."""
    folder = tmp_path_factory.mktemp("pipeline")
    source = pipeline_folder(folder / "source", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    assert run(["export", str(source), "--out", str(folder / "out"), "--variants", "fp16,int8", "--keep-slow"]) == 0
    return source, open_bundle(folder / "out")


def test_a_pipeline_of_sentence_transformers(exported: tuple[Path, Bundle]) -> None:
    source, bundle = exported
    assert bundle.manifest.max_tokens == 24
    served = Encoder(bundle, ModelSettings()).encode(TEXTS)
    np.testing.assert_allclose(served, by_hand(source, "cls", 24), atol=2e-5)


def test_twice_is_the_same_encoder(exported: tuple[Path, Bundle], tmp_path: Path) -> None:
    source, bundle = exported
    words = ["export", str(source), "--out", str(tmp_path / "again"), "--variants", "int8,fp16", "--keep-slow"]
    assert run(words) == 0
    assert open_bundle(tmp_path / "again").digest == bundle.digest


def test_an_encoder_is_shown_for_what_it_is(exported: tuple[Path, Bundle], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bundle", "show", str(exported[1].folder)]) == 0
    assert "a text encoder: 32 dimensions, at most 24 tokens" in capsys.readouterr().out
    with pytest.raises(BundleRefused, match="is an encoder"):
        load(exported[1], EngineSettings(), ModelSettings())


@pytest.mark.parametrize("pooling", [{"pooling_mode_mean_tokens": True}, {"pooling_mode": "mean"}])
def test_both_ways_of_naming_a_pooling_are_read(tmp_path: Path, pooling: dict[str, Any]) -> None:
    found = described(pipeline_folder(tmp_path, pooling, normalize=False))
    assert (found.pooling, found.normalize, found.max_tokens) == ("mean", False, 24)


def dense(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    write(
        folder / "modules.json", [*modules, {"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"}]
    )


TWO_POOLINGS = ("pooling_mode_max_tokens", "pooling_mode_cls_token")

WRONG: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "another module": (dense, Unacceptable, "lists Transformer, Pooling, Normalize, Dense"),
    "no JSON": (lambda f: (f / "modules.json").write_text("[{"), Unreadable, r"modules\.json"),
    "another pooling": (
        lambda f: write(f / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True}), Unacceptable,
        "pools by pooling_mode_max_tokens",
    ),
    "two poolings": (
        lambda f: write(f / "1_Pooling" / "config.json", dict.fromkeys(TWO_POOLINGS, True)),
        Unacceptable, "pools by pooling_mode_max_tokens and cls",
    ),
    "a prompt": (
        lambda f: write(f / "config_sentence_transformers.json", {"default_prompt_name": "query"}), Unacceptable,
        "prompt 'query'",
    ),
    "another family": (lambda f: write(f / "config.json", {"model_type": "t5"}), Unacceptable, "is of type 't5'"),
    "code": (
        lambda f: write(f / "config.json", {"model_type": "bert", "auto_map": {"AutoModel": "x.X"}}), Unacceptable,
        "code of its own",
    ),
    "no transformer": (lambda f: (f / "config.json").unlink(), Unreadable, r"has no config\.json"),
    "a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), Unacceptable, "Convert it where you trust",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), Unreadable, r"has no tokenizer\.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_exported_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = pipeline_folder(tmp_path / "source", {"pooling_mode": "cls"})
    spoil, error, match = WRONG[name]
    spoil(folder)
    with pytest.raises(error, match=match):
        export_encoder(folder, tmp_path / "out", "wrong")
    assert not (tmp_path / "out").exists()


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    """transformers would draw them at random."""
    folder = model_folder(tmp_path / "source")
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", {**config, "num_hidden_layers": 3})
    with pytest.raises(Unacceptable, match=r"the weights lack \d+ tensors"):
        export_encoder(folder, tmp_path / "out", "wrong")


def test_training_takes_the_transformer_of_a_pipeline_that_is_pooled_as_it_pools(tmp_path: Path) -> None:
    mean = pipeline_folder(tmp_path / "mean", {"pooling_mode_mean_tokens": True})
    assert transformer_of(mean) == mean
    assert transformer_of(model_folder(tmp_path / "plain")) == tmp_path / "plain"
    first = pipeline_folder(tmp_path / "cls", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    with pytest.raises(Unacceptable, match="makes vectors by cls; training reads the mean"):
        transformer_of(first)
