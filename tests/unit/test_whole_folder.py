"""What is written never takes the place of what the same command did not write, and says so before the long work."""

from pathlib import Path

import pytest

from contracts.bundle import BUNDLE, MANIFEST
from contracts.errors import OutRefused
from contracts.whole_folder import Mark, check_replaceable, replaced
from launch.cli import run
from tests.trained import Trained
from training.config import CHECKPOINT
from training.head import HEAD
from training.run_folder import RunFolder

MARK = Mark("mark.json", '"ours"')
THESIS = "thesis.txt"


def theirs(folder: Path) -> Path:
    """A folder that somebody needs."""
    folder.mkdir()
    (folder / THESIS).write_text("years of work")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_nothing_an_empty_folder_and_one_of_ours_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    for content in ("new", "in an empty folder", "in the place of ours"):
        with replaced(out, MARK) as part:
            (part / MARK.file).write_text(f'{{"ours": "{content}"}}')
        assert content in (out / MARK.file).read_text()
        if content == "new":
            (out / MARK.file).unlink()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_what_is_not_ours_is_refused_by_name_and_stays(tmp_path: Path) -> None:
    out = theirs(tmp_path / "keepme")
    (out / MARK.file).write_text('{"icons": []}')
    with pytest.raises(OutRefused, match=rf"keepme holds {MARK.file}, {THESIS}: only an empty folder.*Name another"):
        check_replaceable(out, MARK)
    for number in range(4):
        (out / f"a{number}").write_text("")
    with pytest.raises(OutRefused, match=r"holds a0, a1, a2 and 3 more:"), replaced(out, MARK):
        pytest.fail("nothing may begin")
    assert (out / THESIS).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["keepme"]


@pytest.mark.parametrize("name", ["file", "file/deeper/out"])
def test_a_file_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("theirs")
    with pytest.raises(OutRefused, match=r"file is a file"):
        check_replaceable(tmp_path / name, MARK)


@pytest.mark.parametrize("out", [Path(), Path("/"), Path("/proc")])
def test_what_cannot_be_renamed_is_refused_before(out: Path) -> None:
    with pytest.raises(OutRefused, match="cannot be replaced as a whole"):
        check_replaceable(out, MARK)


def test_what_came_there_meanwhile_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def write() -> None:
        with replaced(out, MARK) as part:
            (part / MARK.file).write_text('{"ours": 1}')
            theirs(out)

    with pytest.raises(OutRefused, match=THESIS):
        write()
    assert list(tree(tmp_path)) == [f"out/{THESIS}"]


def test_whatever_ends_it_the_old_one_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with replaced(out, MARK) as part:
        (part / MARK.file).write_text('{"ours": 1}')
    before = tree(tmp_path)

    def write(end: type[BaseException]) -> None:
        with replaced(out, MARK) as part:
            (part / MARK.file).write_text('{"ours": 2}')
            raise end

    for end in (KeyboardInterrupt, ValueError):
        with pytest.raises(end):
            write(end)
    assert tree(tmp_path) == before


def test_a_links_folder_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replaced(tmp_path / "link", MARK) as part:
        (part / MARK.file).write_text('{"ours": 1}')
    assert (tmp_path / "link").is_symlink()
    assert list(tree(tmp_path / "real")) == [MARK.file]
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}


def test_a_run_removes_no_folder_that_no_run_made(tmp_path: Path) -> None:
    theirs(tmp_path / "checkpoint.training")
    with pytest.raises(OutRefused, match=THESIS):
        RunFolder(tmp_path / "checkpoint", "key")
    assert (tmp_path / "checkpoint.training" / THESIS).exists()
    RunFolder(tmp_path / "other", "one")
    assert (RunFolder(tmp_path / "other", "two").path / "run").read_text() == "two"


COMMANDS = {
    "train": ("train", "nowhere.jsonl", "--out"),
    "export": ("export", "nowhere", "--out"),
    "pretrain": ("pretrain", "nowhere.jsonl", "--out"),
    "finetune": ("finetune", "nowhere.jsonl", "--out"),
    "finetune's checkpoint": ("finetune", "nowhere.jsonl", "--out", "new", "--checkpoint"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_before_it_reads_anything(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their input is not there: whoever read it first would say so."""
    out = theirs(tmp_path / "keepme")
    assert run([*COMMANDS[name], str(out)]) == 1
    said = capsys.readouterr().err
    assert f"{out} holds {THESIS}" in said
    assert len(said.splitlines()) == 1
    assert tree(tmp_path) == {f"keepme/{THESIS}": b"years of work"}


def test_the_marks_are_in_what_is_written(trained: Trained) -> None:
    check_replaceable(trained.checkpoint, CHECKPOINT)
    check_replaceable(trained.bundle.folder, BUNDLE)


def test_an_export_never_takes_the_place_of_the_checkpoint_that_it_reads(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(trained.checkpoint)
    assert run(["export", str(trained.checkpoint), "--out", str(trained.checkpoint)]) == 1
    assert f"it has a {MANIFEST}" in capsys.readouterr().err
    assert tree(trained.checkpoint) == before


def test_the_mark_of_a_head_is_no_web_pages_head(tmp_path: Path) -> None:
    (tmp_path / HEAD.file).write_text('{"title": "a page"}')
    with pytest.raises(OutRefused, match=rf"holds {HEAD.file}"):
        check_replaceable(tmp_path, HEAD)
