"""Pickles are never loaded, and whoever has one reads how to convert it, whatever it is called and wherever it lies."""

import re
from pathlib import Path

import pytest

from contracts.errors import Unacceptable, Unreadable
from export.folders import kind_of
from launch.cli import run
from training.encoder import load_encoder
from training.weights import PICKLES

CONVERT = "can run code and is never loaded. Convert it where you trust it: "


@pytest.mark.parametrize("ending", PICKLES)
@pytest.mark.parametrize("alone", [True, False])
def test_a_pickle_is_told_how_to_become_readable(
    tmp_path: Path, ending: str, alone: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the file itself, and as all that a folder has; by export, and wherever an encoder is taken."""
    file = tmp_path / "source" / f"model{ending}"
    file.parent.mkdir()
    file.write_bytes(b"no pickle, and nobody looks")
    given = file if alone else file.parent
    assert run(["export", str(given), "--out", str(tmp_path / "out")]) == 1
    assert f"{CONVERT}AutoModel.from_pretrained" in capsys.readouterr().err
    with pytest.raises(Unacceptable, match=re.escape(CONVERT)):
        load_encoder(given, 32)


def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Unreadable, match=r"it has none of checkpoint\.json, .*modules\.json, config\.json"):
            kind_of(folder)
