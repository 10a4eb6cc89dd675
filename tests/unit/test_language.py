"""Pretraining: it learns what is learnable, on texts that were held out, and its folder is taken by training."""

import resource
import shutil
from pathlib import Path

import msgspec
import pytest
import torch

from contracts.errors import Unacceptable, Unreadable
from contracts.messages import CatalogueItem
from launch.cli import run
from training.config import EncoderSize
from training.encoder import encode, load_encoder
from training.pretraining import Pretraining, pretrain_folder
from training.text_lessons import drawn, pretrain
from training.texts import Said, read_texts, split

SIZE = EncoderSize(
    dim=32, layers=1, vocabulary=300, max_tokens=16, masked_epochs=20, meaning_epochs=10, contrastive_epochs=40
)
COLOURS = {"red": "rot", "blue": "blau", "green": "gruen", "black": "schwarz", "white": "weiss", "pink": "rosa"}
GOODS = {"shoe": "Stiefel", "lamp": "Leuchte", "chair": "Stuhl", "dress": "Kleid", "knife": "Messer", "watch": "Uhr"}
NUMBERS = ("null", "eins", "zwei")


def texts() -> list[Said]:
    """Two texts a product: its colour, kind and number in English and in German, without one word in common."""
    return [
        Said(f"{colour}{good}{number}", text)
        for number in range(3) for colour in COLOURS for good in GOODS
        for text in (f"{colour} {good} model {number}", f"{COLOURS[colour]} {GOODS[good]}, Nummer {NUMBERS[number]}")
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pretraining]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("language") / "encoder"
    return out, pretrain_folder(texts(), out, SIZE, 0, lambda _: None)


def test_words_and_pairs_are_learned(made: tuple[Path, Pretraining]) -> None:
    before, after, plain = made[1].before, made[1].after, made[1].plain
    assert before.perplexity
    assert after.perplexity
    assert plain.perplexity
    assert after.perplexity < before.perplexity / 3
    assert after.perplexity < plain.perplexity / 1.5
    assert before.pair_accuracy is not None
    assert after.pair_accuracy is not None
    assert after.pair_accuracy > 0.6 > before.pair_accuracy + 0.2, made[1]
    assert plain.pair_accuracy == 0.0  # the two texts of a product share no word


def test_the_folder_is_an_encoder_and_can_be_gone_on_from(made: tuple[Path, Pretraining], tmp_path: Path) -> None:
    encoder, tokenizer = load_encoder(made[0], 16)
    assert encode(encoder, tokenizer, ["red shoe", "", "红色连衣裙"]).shape == (3, 32)
    on = msgspec.structs.replace(SIZE, masked_epochs=1, contrastive_epochs=1)
    again = pretrain_folder(texts(), tmp_path / "on", on, 0, lambda _: None, made[0])
    assert again.before.pair_accuracy == made[1].after.pair_accuracy


def test_how_far_it_is_is_told_at_every_step(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    pretrain_folder(texts(), tmp_path / "out", SIZE, 0, lambda _: None, step=lambda *told: heard.append(told))
    for what in ("words, epoch 1 of", "meaning, epoch 1 of", "products, epoch 1 of"):
        steps = [(done, of) for said, done, of in heard if said.startswith(what)]
        assert [done for done, _ in steps] == list(range(1, steps[0][1] + 1))


def test_the_same_seed_is_the_same_encoder(tmp_path: Path) -> None:
    short = msgspec.structs.replace(SIZE, masked_epochs=1, contrastive_epochs=1)
    for name in ("one", "two"):
        pretrain_folder(texts(), tmp_path / name, short, 3, lambda _: None)
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


def test_a_held_out_text_is_nowhere_learned_from() -> None:
    shared = [Said(f"p{number}", "the same words for all") for number in range(50)]
    learn, held = split([*texts(), *shared])
    assert held.texts
    assert "the same words for all" in held.texts
    assert not set(learn.texts) & set(held.texts)
    assert not {text for pair in learn.pairs for text in pair} & set(held.texts)


def test_a_held_out_product_has_one_pair_so_that_its_rivals_are_others() -> None:
    many = [Said(f"p{product}", f"text {number} of {product}") for product in range(40) for number in range(4)]
    learn, held = split(many)
    assert len(held.pairs) == len(held.texts) // 4 > 0
    assert len(learn.pairs) == 3 * len(learn.texts) // 4


def test_files_are_read_and_bad_ones_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"item_id":"a","title":"红色","brand":"Norden"}\n{"text":"fine"}\n')
    (tmp_path / "lines.txt").write_text("one\n\none\n")
    found = read_texts([tmp_path / "rows.jsonl", tmp_path / "lines.txt"])
    assert found == [Said("a", "红色"), Said("a", "Norden"), Said("", "fine"), Said("", "one")]
    (tmp_path / "bad.jsonl").write_text('{"text":"fine"}\n{"text"\n')
    with pytest.raises(Unreadable, match=r"bad\.jsonl, line 2"):
        read_texts([tmp_path / "bad.jsonl"])
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(Unreadable, match="no text"):
        read_texts([tmp_path / "empty.txt"])


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    alone = next(said for said in texts() if not split([said])[0].texts)
    with pytest.raises(Unacceptable, match="too few"):
        pretrain_folder([alone], tmp_path / "out", SIZE, 0, lambda _: None)


def test_the_command_says_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = (msgspec.json.encode({"item_id": said.product, "text": said.text}) for said in texts())
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(rows))
    options = ["--out", str(tmp_path / "encoder"), "--dim", "16", "--epochs", "1", "--pair-epochs", "1"]
    assert run(["pretrain", str(tmp_path / "rows.jsonl"), *options]) == 0
    told = capsys.readouterr().out
    assert "; by how often each word is: " in told
    assert "; by the words that they share: 0.000" in told
    assert (tmp_path / "encoder/pretraining.json").exists()


def test_a_pretraining_that_ends_early_leaves_the_old_folder_whole(
    made: tuple[Path, Pretraining], tmp_path: Path
) -> None:
    """It goes on from a folder, in its place, and cannot write when all is learned."""
    out = tmp_path / "encoder"
    shutil.copytree(made[0], out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    on = msgspec.structs.replace(SIZE, masked_epochs=1, contrastive_epochs=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def no_more_room(line: str) -> None:
        if line.startswith("products, epoch 1 of 1"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(Exception, match=r"(?i)file too large|code: 27"):
            pretrain_folder(texts(), out, on, 1, no_more_room, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
    assert pretrain_folder(texts(), out, on, 1, lambda _: None, out).texts
    assert (out / "model.safetensors").read_bytes() != before["model.safetensors"]


def test_of_a_large_catalogue_so_many_texts_teach() -> None:
    """What is learned from 500,000 texts must not take 500,000 steps."""
    items = [CatalogueItem(item_id=f"i{n}", title=f"thing {n % 7}") for n in range(40)]
    assert len(drawn(items, 8, 0)) == 8
    assert drawn(items, 8, 0) == drawn(items, 8, 0) != drawn(items, 8, 1)
    assert drawn(items, 40, 0) == items
    size = EncoderSize(
        dim=16, layers=1, vocabulary=60, max_tokens=8, masked_epochs=3, contrastive_epochs=3, most_texts=8
    )
    said: list[str] = []
    encoder, tokenizer = pretrain(items, size, 0, said.append)
    assert len(said) == 2  # one epoch of words, one of products
    assert encode(encoder, tokenizer, ["thing 5"]).shape == (1, 16)
