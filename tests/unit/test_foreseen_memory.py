"""Memory that will not do is said before anything is learned, by each command that trains, and as much as it takes."""

import json
import tracemalloc
from pathlib import Path

import pytest
import torch

from contracts.errors import EnvironmentRefused
from contracts.pairs import Pair
from launch.cli import run
from tests.unit.test_bad_logs import log_of, rows
from tests.unit.test_evaluated_logs import START, deeds, folder_of
from tests.unit.test_finetune_rating import DAY, shop_rows
from training import memory
from training.config import PRESETS, EncoderSize
from training.encoder import new_model
from training.encoder_memory import finetuning_needs, planned, pretraining_needs, shape_of
from training.hashed_ngrams import Texts, learn_ngrams
from training.head import HeadPlan
from training.memory import CELL, JUDGED, Need, available_memory, check_memory, needs, whole_of
from training.texts import Said
from training.wordpiece import train_tokenizer

TINY = ["--dim", "16", "--epochs", "1"]
BERT = {"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 30522}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with next to nothing free."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 300000 kB\n")
    monkeypatch.setattr(memory.available_memory, "__defaults__", (meminfo, tmp_path / "no control group"))


def bert_folder(folder: Path) -> str:
    """A folder that says of itself that it is large; its weights are broken."""
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "config.json").write_text(json.dumps(BERT))
    return str(folder)


def said(path: Path, count: int = 60) -> str:
    """Labelled texts, each of which is a review of one of a few items as well."""
    lines = [{"text": f"thing {n} is {n % 2}", "label": n % 2, "item_id": f"i{n % 20}"} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line by which a command without the memory ends."""
    assert run(list(words)) == 1
    told = capsys.readouterr()
    (line,) = [line for line in told.err.splitlines() if "of memory and" in line]
    assert line.startswith("daogou: the training needs about")
    assert "0.3 GB are free" in line
    assert line.endswith("or a larger machine; --any-memory tries it all the same")
    assert "epoch" not in told.out + told.err
    return line


@pytest.mark.usefixtures("small")
def test_an_encoder_that_is_given_is_counted_in_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_of(tmp_path, rows(("click",)))
    words = ["train", str(tmp_path / "events.jsonl"), "--encoder", bert_folder(tmp_path / "bert")]
    words += ["--out", str(tmp_path / "out")]
    line = refused(capsys, *words)
    assert "an encoder of 108.8 million weights 1.1 GB" in line
    assert "take a part of the log (--until 0.5), a smaller --preset or --encoder" in line
    assert run([*words, "--any-memory"]) == 1
    assert "bert cannot be loaded" in capsys.readouterr().err, "it went on, and read the weights"


def test_a_folder_without_a_shape_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_of(tmp_path, rows(("click",)))
    words = ["train", str(tmp_path / "events.jsonl"), "--encoder"]
    assert run([*words, str(tmp_path)]) == 1
    assert "has no config.json" in capsys.readouterr().err
    folder = bert_folder(tmp_path / "bert")
    assert shape_of(Path(folder))[:5] == (768, 12, 3072, 12, 30522)
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "resnet"}')
    assert run([*words, folder]) == 1
    assert "config.json says no shape of a BERT" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("protocol", ["leave-one-out", "cold", "replay"])
def test_a_bundle_for_one_evaluation_is_foreseen(
    protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walks = [[("view", (start * 7 + step) % 30) for step in range(5)] for start in range(60)]
    folder = folder_of(tmp_path / "ring", [each for n, walk in enumerate(walks) for each in deeds(f"u{n}", *walk)])
    line = refused(capsys, "evaluate", str(folder), "--protocol", protocol, "--train", "tiny")
    assert "30 items" in line or protocol == "cold"
    assert "take a smaller preset (--train tiny), in a replay a smaller part of the log before it (--from 0.3)" in line


@pytest.mark.usefixtures("small")
def test_with_any_memory_an_evaluation_goes_on_to_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of each shopper there is but one event before the turns, which is what training then says."""
    once = [deeds(f"u{n}", ("view", n % 8))[0] for n in range(30)]
    again = [{**event, "timestamp": START + DAY + n} for n, event in enumerate(once[:20])]
    words = ["evaluate", str(folder_of(tmp_path / "once", once + again)), "--protocol", "replay", "--train", "tiny"]
    assert "30 events of 30 shoppers" in refused(capsys, *words)
    assert run([*words, "--any-memory"]) == 1
    assert "it needs shoppers who come back" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_pretraining_is_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["pretrain", said(tmp_path / "rows.jsonl"), *TINY, "--pair-epochs", "1", "--out", str(tmp_path / "out")]
    line = refused(capsys, *words)
    assert "(the program 0.9 GB, 60 texts" in line
    assert "take a smaller encoder (--start, --dim), fewer texts" in line
    assert not (tmp_path / "out").exists()
    assert "108.8 million weights 1.7 GB" in refused(capsys, *words, "--start", bert_folder(tmp_path / "bert"))
    assert run([*words, "--any-memory"]) == 0
    assert (tmp_path / "out" / "pretraining.json").is_file()


@pytest.mark.usefixtures("small")
def test_a_head_of_classes_is_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["finetune", said(tmp_path / "rows.jsonl"), *TINY, "--out", str(tmp_path / "out")]
    assert "take a smaller encoder (--encoder, --dim), shorter texts (--max-tokens), fewer rows" in refused(
        capsys, *words
    )
    words += ["--encoder", bert_folder(tmp_path / "bert")]
    assert "an encoder of 108.8 million weights 3.0 GB" in refused(capsys, *words)
    assert run([*words, "--any-memory"]) == 1
    assert "bert cannot be loaded" in capsys.readouterr().err, "it went on, and read the weights"


@pytest.mark.usefixtures("small")
def test_a_head_of_stars_is_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "events.jsonl", tmp_path / "items.jsonl"]
    for path, lines in zip(files, shop_rows(), strict=True):
        path.write_text("\n".join(map(json.dumps, lines)))
    words = ["finetune", *map(str, files), "--task", "rating", "--encoder", bert_folder(tmp_path / "bert")]
    words += ["--out", str(tmp_path / "out")]
    assert "an encoder of 108.8 million weights 3.0 GB" in refused(capsys, *words)
    assert run([*words, "--any-memory"]) == 1
    assert "bert cannot be loaded" in capsys.readouterr().err, "it went on, and read the weights"


SIZE = EncoderSize(dim=64, layers=3, attention_heads=4, vocabulary=200, max_tokens=32)


@pytest.mark.parametrize("words", [False, True])
def test_what_a_step_keeps_is_what_pytorch_keeps(words: bool) -> None:
    tokenizer = train_tokenizer([f"word{n} and {n}" for n in range(400)], SIZE.vocabulary, SIZE.max_tokens)
    model, texts = new_model(tokenizer, SIZE).train(), 8
    weights = {weight.untyped_storage().data_ptr(): weight.numel() for weight in model.bert.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.randint(5, tokenizer.get_vocab_size(), (texts, SIZE.max_tokens))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = model(ids, labels=ids).loss if words else model.bert(ids).last_hidden_state
    assert found.requires_grad
    shape = planned(SIZE)._replace(words=tokenizer.get_vocab_size())
    assert shape.weights == pytest.approx(sum(weights.values()), rel=0.1)
    foreseen = shape.guess(texts, SIZE.max_tokens) if words else shape.step(texts, SIZE.max_tokens)
    assert foreseen == pytest.approx(sum(size for at, size in kept.items() if at not in weights), rel=0.15)


def test_ngrams_take_no_more_than_is_foreseen() -> None:
    rows = [f"{'很好' if n % 3 else 'awful'} thing {n} {n * n}" for n in range(300)]
    texts = Texts(rows, torch.arange(300).remainder(20).numpy())
    tracemalloc.start()
    learn_ngrams(texts, texts, 20, lambda _: None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    foreseen = dict(finetuning_needs([Pair(row) for row in rows], 20, HeadPlan(encoder=SIZE), None))
    assert most <= foreseen["character n-grams"]


def test_what_is_foreseen_grows_with_what_is_asked(tmp_path: Path) -> None:
    bert = Path(bert_folder(tmp_path / "bert"))
    texts = [Said("", "字" * 100 + str(n)) for n in range(200)]
    pairs = [Said(f"p{n // 2}", each.text) for n, each in enumerate(texts)]
    small, size = EncoderSize(max_tokens=32), EncoderSize(max_tokens=64)
    sizes = [
        whole_of(pretraining_needs(some, each, start))
        for some, each, start in ((texts, size, None), (texts, small, bert), (texts, size, bert), (pairs, size, bert))
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < 1_300_000_000
    assert sizes[-1] > 8_000_000_000
    few = [whole_of(pretraining_needs(some, size, bert)) for some in (texts[:4], [Said("", "short")] * 200)]
    assert max(few) < 3_500_000_000, "a few texts, and short ones, fill no batch"


def test_memory_is_foreseen(tmp_path: Path) -> None:
    small = log_of(tmp_path, rows(("click",)))
    needed = needs(small, PRESETS["base"], 96)
    check_memory(needed, whole_of(needed), "less")
    check_memory(needed, None, "less")
    assert needed[-1].size == JUDGED * len(small.items) * CELL, "of a small catalogue little is compared at once"
    with pytest.raises(
        EnvironmentRefused,
        match=r"needs about 5\.0 GB of memory and 1\.0 GB are free \(items 5\.0 GB\): take less or a",
    ):
        check_memory([Need("items", 5_000_000_000)], 1_000_000_000, "less")


def test_available_memory_is_the_machines_or_the_containers(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert available_memory(meminfo, tmp_path) is None
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    assert available_memory(meminfo, tmp_path) == 4_096_000
    for name, content in (("max", "max"), ("current", "1000000"), ("stat", "anon 1\ninactive_file 500000\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    assert available_memory(meminfo, tmp_path) == 4_096_000
    (tmp_path / "memory.max").write_text("2000000\n")
    assert available_memory(meminfo, tmp_path) == 1_500_000
