"""What a training refuses, and when: before it has cost anything, in words that say what to do."""

import errno
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from contracts.dialects.dataset import row_to_event, row_to_item
from contracts.errors import EnvironmentRefused, Unacceptable, Unreadable
from contracts.messages import CatalogueItem
from contracts.whole_folder import Mark, replaced
from launch import cli
from launch.cli import run
from training import lists
from training.encoder import load_encoder
from training.log import Log, read_log
from training.replay import Replay, heads_of, teaches
from training.train import table_of

START = 1_700_000_000
OLD = "old"


def rows(kinds: tuple[str, ...], shoppers: int = 3, each: int = 4) -> bytes:
    """So many shoppers, each with a few events of these types."""
    lines = [
        {
            "user_id": f"u{u}",
            "item_id": f"i{u + k}",
            "event_type": kinds[k % len(kinds)],
            "timestamp": START,
            "x": 1,
        }
        for u in range(shoppers)
        for k in range(each)
    ]
    return b"\n".join(json.dumps(line).encode() for line in lines)


def log_of(folder: Path, content: bytes) -> Log:
    path = folder / "events.jsonl"
    path.write_bytes(content)
    return read_log(path, None)


@pytest.mark.parametrize("kind", ["click", "view", "review", "purchase", "add_to_cart", "wishlist"])
def test_a_log_of_one_event_type_teaches_the_head_that_is_judged(tmp_path: Path, kind: str) -> None:
    log = log_of(tmp_path, rows((kind,)))
    assert list(heads_of(log.events).values()) == [0]
    assert teaches(log.events)


def test_what_teaches_nothing_is_said_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = log_of(tmp_path, rows(("click",), shoppers=50, each=1))
    assert not teaches(once.events)
    assert not teaches(log_of(tmp_path, rows(("remove_from_cart",))).events)
    events = tmp_path / "events.jsonl"
    assert run(["train", str(events), "--preset", "tiny", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "it needs shoppers who come back" in said.err
    assert "epoch" not in said.out + said.err
    assert not (tmp_path / "out").exists()


def test_a_folder_a_cut_file_and_no_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: Is a directory"):
        read_log(tmp_path, None)
    whole = gzip.compress(rows(("click",), shoppers=500))
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Unreadable, match=r"cut\.gz is broken or cut short"):
        read_log(tmp_path / "cut.gz", None)
    (tmp_path / "broken.gz").write_bytes(whole[:200] + b"\xff" * 50 + whole[250:])
    with pytest.raises(Unreadable, match=r"broken\.gz"):
        read_log(tmp_path / "broken.gz", None)
    with pytest.raises(Unreadable, match=r"has no events \(refused: {'not_json': 2}\)"):
        log_of(tmp_path, b"user_id,item_id\nu,i\n")


def test_the_first_row_of_each_reason_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong can then be mended: a reason alone names neither the line nor the column."""
    strange = b'{"user_id": "u", "item_id": "i", "event_type": "liked", "timestamp": 1}'
    timed = b'{"user_id": "u", "item_id": "i", "event_type": "click", "timestamp": "2020-01-01"}'
    good = rows(("click",))
    log = log_of(tmp_path, b"\n".join([good, strange, strange, timed]))
    assert [(reason, each.rows) for reason, each in log.refused.items()] == [("unknown_type", 2), ("invalid_field", 1)]
    assert log.refused["unknown_type"].first.startswith("line 13: event_type 'liked'; known are impression, search")
    assert "timestamp" in log.refused["invalid_field"].first
    with pytest.raises(Unreadable, match=r"\(refused: {'unknown_type': 1}\); the first, line 1: event_type 'liked'"):
        log_of(tmp_path, strange)
    log_of(tmp_path, b"\n".join([good, strange]))
    run(["train", str(tmp_path / "events.jsonl"), "--preset", "base", "--encoder", "nowhere"])
    assert "refused 1 rows: unknown_type; the first, line 13: event_type 'liked'" in capsys.readouterr().out


def test_null_is_nothing_said(tmp_path: Path) -> None:
    """As the data sets have it: '' or null where the source has none."""
    nothing = {"title": None, "category": None, "brand": None, "description": None, "price": None, "attributes": None}
    item = json.dumps({"item_id": "i0", **nothing}).encode()
    assert row_to_item(item) == CatalogueItem(item_id="i0")
    assert row_to_item(b'{"item_id": "i0", "attributes": "steel"}').attributes == ("steel",)
    row = {"user_id": "u", "item_id": None, "event_type": "search", "timestamp": 1, "query": None, "text": None}
    assert row_to_event(json.dumps(row).encode(), 0) == replace(
        row_to_event(b'{"user_id": "u", "event_type": "search", "timestamp": 1}', 0),
        event_id=row_to_event(json.dumps(row).encode(), 0).event_id,
    )
    with pytest.raises(Unacceptable, match="nobody's event"):
        row_to_event(json.dumps({**row, "user_id": None}).encode(), 0)


def test_many_items_are_scored_a_few_shoppers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same examples, however few: so memory does not grow with the catalogue."""
    log = log_of(tmp_path, rows(("click",), shoppers=9))
    text = np.random.default_rng(0).normal(size=(len(log.items), 4)).astype(np.float32)
    found = []
    for cells in (1 << 24, 1):
        monkeypatch.setattr(lists, "CELLS", cells)
        made = lists.Lists(table_of(log.items, text), 7, 10, 4, 0)
        found.append([batch.candidates for batch in Replay(made, heads_of(log.events)).run(log.events)])
    assert all(np.array_equal(one, two) for one, two in zip(*found, strict=True))


def test_a_full_disk_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with replaced(out, Mark(OLD)) as part:
        (part / OLD).write_text("whole")

    def write_until_full() -> None:
        with replaced(out, Mark(OLD)) as part:
            (part / "new").write_text("half")
            Path("/dev/full").write_text("no room is here, ever")

    with pytest.raises(EnvironmentRefused, match="the disk is full"):
        write_until_full()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (out / OLD).read_text() == "whole"
    with replaced(out, Mark(OLD)) as part:
        (part / "new").write_text("whole")
    assert [path.name for path in out.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_full_disk_is_one_line_and_no_other_such_error_is_swallowed() -> None:
    assert "the disk is full (/there)" in cli._of_disk(OSError(errno.ENOSPC, "No space left", "/there"))
    with pytest.raises(OSError, match="Permission"):
        cli._of_disk(OSError(errno.EACCES, "Permission denied"))


def test_an_encoder_folder_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"has no config\.json"):
        load_encoder(tmp_path, 32)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Unreadable, match=r"has no tokenizer\.json"):
        load_encoder(tmp_path, 32)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(Unreadable, match="cannot be loaded"):
        load_encoder(tmp_path, 32)


@pytest.mark.parametrize(
    ("content", "protocol", "problem"),
    [
        (None, "leave-one-out", "set has no events.jsonl.gz or events.jsonl"),
        (b"no gzip", "leave-one-out", "has no events (refused: {'not_json': 1})"),
        (gzip.compress(rows(("click",), shoppers=500), mtime=0)[:900], "leave-one-out", "is broken or cut short"),
        (gzip.compress(b"{}\n", mtime=0), "leave-one-out", "has no events (refused: {'unknown_type': 1})"),
        (gzip.compress(rows(("impression",)), mtime=0), "leave-one-out", "no shopper of set has three events"),
        (gzip.compress(rows(("click",), each=1), mtime=0), "leave-one-out", "no shopper of set has three events"),
        (gzip.compress(rows(("click",), each=1), mtime=0), "cold", "no shopper of set has three events"),
        (gzip.compress(rows(("click",)), mtime=0), "time-split", "nobody took something new after the cut"),
    ],
)
def test_what_cannot_be_evaluated_is_said(
    tmp_path: Path, content: bytes | None, protocol: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    if content is not None:
        (folder / "events.jsonl.gz").write_bytes(content)
    assert run(["evaluate", str(folder), "--protocol", protocol]) == 1
    assert problem in capsys.readouterr().err
