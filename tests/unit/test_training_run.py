"""A training run: on disk in chunks, killed and gone on with, and what its losses teach."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import msgspec
import numpy as np
import pytest
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from contracts.errors import Unacceptable, Unreadable
from contracts.events import CartAdd, Click, Impression, ItemId
from contracts.features import FEATURES, ORDER_HEADS, OUTCOME_HEADS
from contracts.items import ItemTable
from contracts.messages import CatalogueItem
from export.export import load_ranker
from tests.trained import Trained
from training import run_folder
from training.chunks import CHECK, LEARN, Chunks, write_chunks
from training.config import ENCODER_FOLDER, PRESETS, RANKER_WEIGHTS, Plan, RankerSize, load_checkpoint
from training.encoder import load_encoder
from training.fitting import among_all
from training.lists import Examples, Lists
from training.log import read_log
from training.losses import Tensors, listed, losses, probable, retrieved
from training.metrics import measure, ndcg, places_of_answers
from training.model import Ranker
from training.plain_fit import PlainFit
from training.replay import HEAD_OF, Replay
from training.text_lessons import two_texts
from training.train import PLAIN, table_of, train
from training.vectors import Vectors
from training.wordpiece import pieces, train_tokenizer

Weights = dict[str, NDArray[np.float32]]
START = 1_767_225_600_000
SECOND = 1000
PLAN = replace(
    PRESETS["tiny"],
    epochs=3,
    patience=3,
    encoder=replace(PRESETS["tiny"].encoder, masked_epochs=1, contrastive_epochs=1),
)


def click(user: str, second: int, item: str, event_id: str | None = None) -> Click:
    """A click so many seconds after the start."""
    return Click(event_id=event_id or f"e{second}", user_id=user, time_ms=START + second * SECOND, item_id=item)


class Killed(Exception):
    """What stands for a SIGKILL: nothing catches it, nothing is cleaned up."""


def kill_after(line: str) -> Callable[[str], None]:
    """A listener that kills the run once it has said so."""

    def say(text: str) -> None:
        if text.startswith(line):
            raise Killed

    return say


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight shoppers who go through 24 items, each along a cycle of their own."""
    folder = tmp_path_factory.mktemp("log")
    events = [click(f"u{n % 8}", n, f"i{(n // 8 * 5 + n % 8) % 24}") for n in range(900)]
    items = [CatalogueItem(item_id=f"i{n}", title=f"thing {n}", category=("all", f"c{n % 4}")) for n in range(24)]
    paths = folder / "events.jsonl", folder / "items.jsonl"
    paths[0].write_bytes(b"\n".join(msgspec.json.encode(event) for event in events))
    paths[1].write_bytes(b"\n".join(msgspec.json.encode(item) for item in items))
    return paths


@pytest.mark.parametrize("line", ["900 events", "900 examples", "epoch 1", "epoch 2", "epoch 3"])
def test_killed_and_started_again_it_ends_the_same(
    files: tuple[Path, Path], whole: Weights, tmp_path: Path, line: str
) -> None:
    with pytest.raises(Killed):
        train(read_log(*files), tmp_path / "out", PLAN, kill_after(line.replace("900 examples", "802 examples")))
    assert not (tmp_path / "out").exists()
    assert goes_on(files, tmp_path / "out", PLAN) == line.startswith("epoch")
    again = load_file(tmp_path / "out" / RANKER_WEIGHTS)
    assert all(np.array_equal(whole[name], again[name]) for name in whole)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture(scope="module")
def whole(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The weights of a run that nobody killed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    train(read_log(*files), out, PLAN, lambda _: None)
    return load_file(out / RANKER_WEIGHTS)


def goes_on(files: tuple[Path, Path], out: Path, plan: Plan) -> bool:
    """Whether a training takes up what a killed one left there."""
    said: list[str] = []
    train(read_log(*files), out, plan, said.append)
    return any(text.startswith("going on") for text in said)


def test_another_plan_begins_anew(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(read_log(*files), tmp_path / "out", PLAN, kill_after("epoch 1"))
    assert not goes_on(files, tmp_path / "out", replace(PLAN, seed=1, epochs=1))


def test_what_an_earlier_version_made_is_made_anew(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "MADE", run_folder.MADE - 1)
    with pytest.raises(Killed):
        train(read_log(*files), tmp_path / "out", PLAN, kill_after("epoch 1"))
    monkeypatch.undo()
    assert not goes_on(files, tmp_path / "out", PLAN)


def replay_of(lists: Lists) -> Replay:
    """A replay in which clicks are clicks."""
    return Replay(lists, HEAD_OF)


def table() -> ItemTable:
    made = ItemTable(4)
    for number in range(20):
        made.upsert(CatalogueItem(item_id=f"i{number}", title=f"item {number}", category=("all", f"c{number % 2}")))
        made.set_vector(ItemId(f"i{number}"), np.full(4, 0.5, np.float32))
    return made


def test_chunks_give_back_what_was_written(tmp_path: Path) -> None:
    events = [Click(event_id=f"e{n}", user_id=f"u{n % 2}", time_ms=START + n, item_id=f"i{n % 20}") for n in range(600)]
    batches = list(replay_of(Lists(table(), 7, 10, 4, 0)).run(events))
    counts: list[int] = []
    again = replay_of(Lists(table(), 7, 10, 4, 0)).run(events)
    write_chunks(((False, batch) for batch in again), tmp_path, counts.append)
    chunks = Chunks.of(tmp_path / LEARN)
    assert not Chunks.of(tmp_path / CHECK)
    assert (len(chunks), chunks.lengths, counts[-1]) == (len(batches), [len(b.heads) for b in batches], 598)
    for ours, theirs in zip(chunks, batches, strict=True):
        for one, two in zip((*ours.history, *ours[1:]), (*theirs.history, *theirs[1:]), strict=True):
            np.testing.assert_array_equal(one, two)
    assert np.array_equal(chunks[1:][0].features, batches[1].features)


def test_what_follows_a_click_stands_before_the_list_only_if_the_click_is_not_yet_counted() -> None:
    shown = Impression(event_id="s", user_id="u", time_ms=START + SECOND, items=("i3", "i4"))
    late = CartAdd(event_id="c", user_id="u", time_ms=START + 9 * SECOND, item_id="i4")
    first = Click(event_id="a", user_id="u", time_ms=START, item_id="i1")
    others = [click("other", 2, f"i{n % 20}", f"o{n}") for n in range(300)]
    replay = replay_of(Lists(table(), 7, 10, 4, 0))
    batches = list(replay.run([first, shown, late]))
    assert batches[-1].times_ms[-1] == shown.time_ms
    batches = list(replay_of(Lists(table(), 7, 10, 4, 0)).run([first, shown, *others, late]))
    assert batches[-1].times_ms[-1] == late.time_ms


def part(heads: list[int], candidates: list[list[int]]) -> Tensors:
    """A batch of which only heads and candidates matter."""
    nothing = torch.zeros(len(heads), 1, dtype=torch.long)
    rows, known = torch.tensor(candidates), torch.ones(len(heads), dtype=torch.bool)
    features = torch.zeros(*rows.shape, len(FEATURES))
    unknown = torch.full((len(heads), len(OUTCOME_HEADS)), torch.nan)
    return Tensors(nothing, nothing, nothing, rows, features, torch.tensor(heads), known, rows >= 0, unknown)


def test_padding_and_other_heads_do_not_count_in_the_list() -> None:
    logits = torch.zeros(1, 3, len(ORDER_HEADS))
    logits[0, 2] = 50.0  # padding
    logits[0, 1, 1:] = 50.0  # another head
    torch.testing.assert_close(listed(logits, part([0], [[5, 6, -1]])), torch.tensor(2.0).log())


def test_what_was_not_shown_beside_the_answer_was_not_refused() -> None:
    logits = torch.zeros(1, 4, len(ORDER_HEADS))
    logits[0, 3] = 50.0
    of_three = part([0], [[5, 6, 7, 8]])._replace(choice_set=torch.tensor([[True, True, True, False]]))
    torch.testing.assert_close(listed(logits, of_three), torch.tensor(3.0).log())
    torch.testing.assert_close(probable(logits, of_three), torch.tensor(2.0).log())


def test_a_purchase_says_nothing_against_a_click_but_a_click_says_no_purchase_yet() -> None:
    sure = torch.full((1, 1, len(ORDER_HEADS)), 20.0)
    bought = probable(sure, part([2], [[5]]))
    clicked = probable(sure, part([0], [[5]]))
    assert bought < 1e-6
    torch.testing.assert_close(clicked, torch.tensor(40.0 / 3.0))


def test_an_answer_that_nobody_proposed_teaches_no_order() -> None:
    """Beside good candidates it would teach that having no sign at all is one."""
    ranker, vectors = Ranker(RankerSize(dim=16, layers=1, feature_dim=8), 14), Vectors(torch.eye(12), 2)
    both = part([0, 0], [[5, 6], [7, 8]])
    taught = []
    for proposed in ([True, False], [True, True], [False, False]):
        ranker.zero_grad()
        drawn = torch.Generator().manual_seed(0)
        losses(ranker, vectors, both._replace(proposed=torch.tensor(proposed)), PLAN, drawn).backward()
        taught.append(None if ranker.straight.bias.grad is None else ranker.straight.bias.grad.clone())
        assert ranker.query.weight.grad.any()
    torch.testing.assert_close(2.0 * taught[0], taught[1])
    assert taught[2] is None


def test_the_first_lesson_starts_from_the_blend_and_gets_better(trained: Trained) -> None:
    log = read_log(trained.events, trained.items)
    lists = Lists(table_of(log.items, np.zeros((len(log.items), 4), np.float32)), 15, 10, 4, 0)
    batches = list(Replay(lists, HEAD_OF).run(log.events))
    ranker = Ranker(RankerSize(dim=16, layers=1, feature_dim=8), 6)
    known = np.concatenate([batch.features[batch.candidates >= 0] for batch in batches])
    ranker.means.copy_(torch.from_numpy(known.mean(0)))
    ranker.scales.copy_(torch.from_numpy(np.maximum(known.std(0), 1e-2)))
    lesson = PlainFit(ranker, PLAN, PLAIN)
    before = measure(lesson.answer, batches, PLAIN)
    assert before.ndcg == pytest.approx(before.blend_ndcg, abs=1e-3)
    lesson.so_often(batches, 3)
    assert measure(lesson.answer, batches, PLAIN).ndcg > before.ndcg + 0.01
    light = batches[-1].features @ np.array(ranker.prerank(), np.float32)
    weights = np.array([PLAIN.get(name, 0.0) for name in FEATURES], np.float32)
    at_first = places_of_answers(batches[-1].features @ weights, batches[-1])
    assert ndcg(places_of_answers(light, batches[-1])) > ndcg(at_first)


def test_retrieval_against_all_and_against_drawn_items_agree_where_the_answer_stands_out() -> None:
    vectors = Vectors(torch.eye(12), 2)
    query, answers = 30.0 * torch.nn.functional.pad(torch.eye(12), (0, 2)), torch.arange(12)
    for most in (12, 6):
        assert retrieved(query, vectors, answers, most, torch.Generator().manual_seed(0)) < 1e-6
    wrong = retrieved(query.roll(1, 0), vectors, answers, 12, torch.Generator())
    assert wrong > 20.0


def test_an_empty_history_and_a_full_one_are_finite_both_ways() -> None:
    size = RankerSize(dim=16, layers=2, feature_dim=8, history_limit=6)
    ranker = Ranker(size, 10)
    kinds = torch.tensor([[0] * 6, [2] * 6])
    vectors, gaps = torch.randn(2, 6, 10), torch.zeros(2, 6, dtype=torch.long)
    logits = ranker(vectors, kinds, gaps, torch.randn(2, 5, 10), torch.randn(2, 5, len(FEATURES)))
    (logits.sum() + ranker.retrieve(vectors, kinds, gaps).sum()).backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in ranker.parameters() if p.grad is not None)


def test_a_diverged_run_stops_says_where_and_keeps_the_last_that_was_good(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Of the first epoch nothing is left but what the features alone taught: that can be exported."""
    said = r"the loss is nan at step \d+ of epoch 1: the learning rate \(1e\+38\).* is kept: .*/out: validation_ndcg"
    with pytest.raises(Unacceptable, match=said):
        train(read_log(*files), tmp_path / "out", replace(PLAN, learning_rate=1e38), lambda _: None)
    assert all(np.isfinite(tensor).all() for tensor in load_file(tmp_path / "out" / RANKER_WEIGHTS).values())
    found = load_checkpoint(tmp_path / "out")
    figures = {figure.name: figure.value for figure in found.facts.metrics}
    assert figures["validation_ndcg_at_10"] == figures["validation_features_alone_ndcg_at_10"]
    load_ranker(tmp_path / "out", found)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_encoder_with_broken_weights_is_named(files: tuple[Path, Path], trained: Trained, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    copytree(trained.checkpoint / ENCODER_FOLDER, encoder)
    weights = load_file(encoder / "model.safetensors")
    save_file({name: np.full_like(tensor, np.nan) for name, tensor in weights.items()}, encoder / "model.safetensors")
    with pytest.raises(Unacceptable, match="text vectors of 24 of 24 items are not finite"):
        train(read_log(*files), tmp_path / "out", PLAN, lambda _: None, encoder)


def test_scores_that_are_no_numbers_rank_last() -> None:
    every = np.ones((1, 3), bool)
    nothing = np.zeros((1, 3))
    batch = Examples(*([nothing] * 5), np.array([True]), every, nothing)
    for scores in ([np.nan] * 3, [np.nan, 1.0, 2.0]):
        assert places_of_answers(np.array([scores], np.float32), batch).tolist() == [2]
    assert places_of_answers(np.array([[1.0, np.nan, 0.0]], np.float32), batch).tolist() == [1]
    queries, whole = torch.full((1, 2), torch.nan), torch.eye(2)
    assert among_all(queries, torch.tensor([[0]]), whole).tolist() == [1]


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, missing: str) -> None:
    for name in {"config.json", "tokenizer.json"} - {missing}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(Unreadable, match=missing):
        load_encoder(tmp_path, 32)


def test_the_tokenizer_is_the_same_for_the_same_texts() -> None:
    texts = ["Trail running shoe, waterproof", "Running shorts", "红色连衣裙，夏季新款", "aaaa aaa aaaa"]
    one, two = (train_tokenizer(texts, 80, 16) for _ in range(2))
    assert one.to_str() == two.to_str()
    assert one.encode("Running 红色").tokens == ["[CLS]", "running", "红", "色", "[SEP]"]
    assert one.encode("zebra").tokens == ["[CLS]", "[UNK]", "[SEP]"]
    assert (one.get_vocab_size(), len(one.encode("shoe " * 99).ids)) == (len(set(one.get_vocab().values())), 16)


@pytest.mark.parametrize(
    ("item", "texts"),
    [
        (CatalogueItem(item_id="1", title="jug", brand="acme", attributes=("steel",)), ("jug", "acme. steel")),
        (CatalogueItem(item_id="1", title="jug"), ("jug", "jug")),
        (CatalogueItem(item_id="1", attributes=("1", "7", "9"), description=" "), ("1. 9", "7")),
        (CatalogueItem(item_id="1", category=("a", "b")), ("a > b", "a > b")),
    ],
)
def test_two_texts_of_a_product_share_no_words_where_there_are_enough(
    item: CatalogueItem, texts: tuple[str, str]
) -> None:
    assert two_texts(item) == texts


def test_pieces_merge_what_occurs_most_first() -> None:
    found = pieces(Counter({"low": 5, "lower": 2, "newest": 6, "widest": 3}), 100)
    merged = [piece for piece in found if len(piece.removeprefix("##")) > 1]
    assert merged[:3] == ["##es", "##est", "##ow"]
    assert "lower" not in pieces(Counter({"lower": 1}), 100)
