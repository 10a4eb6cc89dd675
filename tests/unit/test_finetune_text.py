"""Classes of texts: split without a leak, beside plain answers, measured with what was exported."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from contracts.bundle import open_bundle
from contracts.errors import BundleRefused, Unacceptable, Unreadable
from contracts.pairs import Pair
from contracts.settings import EngineSettings, ModelSettings
from inference.encoder import Encoder
from inference.heads import Head
from inference.serving import load
from launch.cli import run
from training.class_metrics import class_figures, macro, of_class
from training.head import load_head, scores
from training.labelled import Columns, Labelled, read_labelled, split_labelled
from training.ngrams import answer

GOOD = ("很好，非常喜欢", "质量不错", "满意，会再来", "great and lovely", "值得购买")
BAD = ("很差，太失望了", "质量不好", "不满意，退货", "broken and awful", "千万别买")
THINGS = ["衣服", "手机", "水果", "酒店", "书籍", "平板", "洗发水", "电脑", "coat", "lamp"]


def reviews(times: bool = False) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number in range(600):
        good = number % 2
        text = f"{THINGS[number % 10]}{number} {(GOOD if good else BAD)[number // 2 % 5]}"
        rows.append({"text": text, "label": good, "kind": "x", **({"timestamp": 1000 + number} if times else {})})
    return rows


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_bytes(gzip.compress("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("finetune")
    rows = write(folder / "rows.jsonl.gz", reviews())
    options = ["--dim", "32", "--max-tokens", "32", "--epochs", "4", "--out", str(folder / "sentiment")]
    assert run(["finetune", str(rows), *options, "--checkpoint", str(folder / "checkpoint")]) == 0
    return folder


def figures(folder: Path) -> dict[str, float]:
    return {figure.name: figure.value for figure in open_bundle(folder).manifest.training.metrics}


def test_what_can_be_learned_is_learned_and_the_manifest_says_how_well(made: Path) -> None:
    found = figures(made / "sentiment")
    assert found["test_accuracy"] > 0.9 < found["ngrams_accuracy"]
    assert found["test_positive_f1"] > 0.9
    assert found["majority_accuracy"] < 0.7
    assert found["majority_macro_f1"] < 0.5


def test_the_bundle_is_a_classifier_that_agrees_with_its_checkpoint(made: Path) -> None:
    bundle = open_bundle(made / "sentiment")
    assert (bundle.manifest.kind, bundle.manifest.heads) == ("classifier", ("0", "1"))
    assert bundle.manifest.parity[0].max_abs_difference < 1e-4
    _, model, tokenizer = load_head(made / "checkpoint")
    pairs = [Pair(text) for text in ("手机 很好", "", "coat broken and awful " * 30, "🙂")]
    served = Head(bundle, ModelSettings()).scores(pairs)
    np.testing.assert_allclose(served, scores(model, tokenizer, pairs), atol=1e-4)


def test_bound_to_a_device_and_padded_it_says_the_same(made: Path) -> None:
    """Tokens and n-grams are padded, and so are texts: of 40, the last 8."""
    bundle = open_bundle(made / "sentiment")
    pairs = [Pair(f"{THINGS[n % 10]} {GOOD[n % 5] * (n + 1)}") for n in range(38)] + [Pair(""), Pair("🙂")]
    plain, bound = Head(bundle, ModelSettings()), Head(bundle, ModelSettings(), device="cpu")
    np.testing.assert_allclose(bound.scores(pairs), plain.scores(pairs), rtol=1e-4, atol=1e-4)
    assert bound.scores([]).shape == (0, 2)


def test_chinese_is_read_by_its_characters(made: Path) -> None:
    tokenizer = Tokenizer.from_str(open_bundle(made / "sentiment").read("tokenizer.json").decode())
    tokens = tokenizer.encode("质量不错").tokens
    assert [token for token in tokens if not token.startswith("[")] == list("质量不错")


def test_the_same_seed_is_the_same_bundle(made: Path) -> None:
    options = ["--dim", "32", "--max-tokens", "32", "--epochs", "4", "--out", str(made / "again")]
    assert run(["finetune", str(made / "rows.jsonl.gz"), *options]) == 0
    assert open_bundle(made / "again").digest == open_bundle(made / "sentiment").digest


def test_a_rate_that_ruins_the_head_is_named_and_nothing_is_written(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--dim", "32", "--max-tokens", "32", "--learning-rate", "1e30", "--out", str(made / "ruined")]
    assert run(["finetune", str(made / "rows.jsonl.gz"), *options]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "of epoch 1: the learning rate (1e+30) is too high" in said
    assert not (made / "ruined").exists()


def test_what_was_kept_is_exported_again_with_variants(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same graph as the one that `finetune` exported from it."""
    words = ["export", str(made / "checkpoint"), "--out", str(made / "kept"), "--variants", "fp16"]
    assert run(words) == 0
    first, again = open_bundle(made / "sentiment"), open_bundle(made / "kept")
    assert again.read("classifier.onnx") == first.read("classifier.onnx")
    assert (again.manifest.kind, again.manifest.heads) == ("classifier", first.manifest.heads)
    assert {entry.name for entry in again.manifest.files} - {entry.name for entry in first.manifest.files} == {
        "classifier.fp16.onnx"
    }
    assert "classifier.fp16.onnx: at most" in capsys.readouterr().out


def test_finetune_makes_the_variants_that_are_named(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["finetune", str(made / "rows.jsonl.gz"), "--dim", "16", "--max-tokens", "16", "--epochs", "1"]
    assert run([*words, "--word-epochs", "0", "--out", str(made / "small"), "--variants", "fp16"]) == 0
    assert open_bundle(made / "small").has("classifier.fp16.onnx")
    assert run([*words, "--out", str(made / "other"), "--variants", "int4"]) == 2
    assert "int4" in capsys.readouterr().err


def test_neither_the_engine_nor_an_encoder_takes_it(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = open_bundle(made / "sentiment")
    with pytest.raises(BundleRefused, match=r"is a classifier.*no slates"):
        load(bundle, EngineSettings(), ModelSettings())
    with pytest.raises(BundleRefused, match=r"item_encoder\.onnx"):
        Encoder(bundle, ModelSettings())
    assert run(["bundle", "show", str(bundle.folder)]) == 0
    assert "a classifier (0, 1) trained on" in capsys.readouterr().out


def test_a_bundle_that_lost_its_classes_is_refused(made: Path) -> None:
    copy = made / "spoiled"
    copy.mkdir()
    for file in (made / "sentiment").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "heads": ["0"]}))
    with pytest.raises(BundleRefused, match="'classifier' with 1 heads"):
        open_bundle(copy)


def test_score_text_says_a_class_for_each_line(made: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (made / "texts.txt").write_text("衣服 很好，非常喜欢\n\n手机 很差，太失望了\n")
    assert run(["score-text", str(made / "sentiment"), str(made / "texts.txt")]) == 0
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [line["label"] for line in lines] == ["1", "0"]
    assert all(0.5 < line["probability"] <= 1 for line in lines)


def test_with_times_the_last_are_measured_on(tmp_path: Path) -> None:
    parts = split_labelled(read_labelled([write(tmp_path / "a.jsonl.gz", reviews(times=True))], Columns()))
    assert parts.by == "time"
    assert max(row.time or 0 for row in parts.learn) < min(row.time or 0 for row in parts.choose)
    assert max(row.time or 0 for row in parts.choose) < min(row.time or 0 for row in parts.test)


def test_equal_times_are_never_torn_apart() -> None:
    rows = [Labelled(f"text {n}", str(n % 2), float(n // 20)) for n in range(200)]
    parts = split_labelled(rows)
    assert not {row.time for row in parts.learn} & {row.time for row in parts.test}


def test_a_text_is_in_one_part_whatever_its_label(tmp_path: Path) -> None:
    rows = reviews() + [{**row, "label": 1 - int(str(row["label"]))} for row in reviews()]
    found = read_labelled([write(tmp_path / "a.jsonl.gz", rows)], Columns())
    parts = split_labelled(found)
    texts = [row.text for part in parts[:3] for row in part]
    assert len(texts) == len(set(texts)) == 600
    assert split_labelled(list(reversed(found))).by == "a hash of the text"
    assert {row.text for row in split_labelled(list(reversed(found))).test} == {row.text for row in parts.test}


def test_stars_are_labels_where_they_say_something(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"words": f"t{stars}", "value": stars} for stars in (1, 2, 3, 4.0, 5)]
    found = read_labelled([write(tmp_path / "a.jsonl.gz", rows)], Columns("words", "value", stars=True))
    assert [row.label for row in found] == ["0", "0", "1", "1"]


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text":"a","label":1}\n[1]\n')
    with pytest.raises(Unreadable, match=r"bad\.jsonl, line 2"):
        read_labelled([tmp_path / "bad.jsonl"], Columns())
    with pytest.raises(Unreadable, match="'words' and 'label'"):
        read_labelled([write(tmp_path / "a.jsonl.gz", reviews())], Columns("words"))
    with pytest.raises(Unacceptable, match="2 labelled texts are too few"):
        split_labelled([Labelled(f"t{n}", str(n)) for n in range(2)])
    with pytest.raises(
        Unacceptable, match=r"all \d+ texts to learn from, split by a hash of the text, are of one class, 's"
    ):
        split_labelled([Labelled(f"t{n}", "same") for n in range(100)])


def test_stars_that_are_classes_already_are_told_apart_from_too_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 and 1 are both few stars."""
    rows = str(write(tmp_path / "rows.jsonl.gz", reviews()))
    assert run(["finetune", rows, "--stars", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "with --stars all 600 labelled texts are of one class, '0'" in said
    assert "leave --stars out" in said


def test_metrics_by_hand() -> None:
    truth, found = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 0, 1])
    assert of_class(found, truth, 1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert macro(found, truth).precision == pytest.approx((2 / 3 + 1 / 2) / 2)
    named = {figure.name: figure.value for figure in class_figures("test", found, truth, None)}
    assert named["test_accuracy"] == 0.6
    assert "test_positive_f1" not in named
    assert of_class(np.zeros(3, np.int64), np.zeros(3, np.int64), 1) == (0, 0, 0)


def test_a_class_that_was_never_learned_counts_as_missed() -> None:
    assert macro(np.array([0, 0]), np.array([0, -1])).recall == 0.5


def test_ngrams_learn_what_characters_say() -> None:
    rows = [Labelled(str(row["text"]), str(row["label"])) for row in reviews()]
    found = answer(rows[:400], rows[400:500], [row.text for row in rows[500:]], ("0", "1"), lambda a, b: macro(a, b).f1)
    assert (found == np.array([int(row.label) for row in rows[500:]])).mean() > 0.95
