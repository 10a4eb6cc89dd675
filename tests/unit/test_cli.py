"""The command line: quick to start, nothing heavy before it is needed, errors in one line."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from contracts.bundle import Figure, write_manifest
from contracts.settings import load_settings
from launch.cli import COMMANDS, run
from tests.tiny_bundle import tiny_bundle

HEAVY = ("torch", "transformers", "onnxruntime", "faust", "aiokafka", "kafka", "redis", "numpy", "pydantic", "rich")


def test_nothing_heavy_is_loaded_for_help() -> None:
    code = f"import sys\nfrom launch.cli import run\nrun(['--help'])\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    plain = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert f"daogou {name}" in plain
    assert len(plain) > 200


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert not [name for name in COMMANDS if f"\n  {name} " not in listed]


@pytest.mark.parametrize("words", [["nope"], ["topics", "nope"], ["worker", "--nope"], ["lag", "--broker"]])
def test_a_wrong_word_is_exit_2(words: list[str]) -> None:
    assert run(words) == 2


@pytest.mark.parametrize("words", [["lag"], ["topics", "check"], ["worker"], ["dead-letters", "list"]])
def test_no_broker_is_one_line_and_exit_1(words: list[str]) -> None:
    command = [sys.executable, "-m", "launch.cli", *words, "--broker", "127.0.0.1:1"]
    environment = {"DAOGOU_KAFKA__REQUEST_TIMEOUT": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "127.0.0.1:1" in done.stderr


def test_a_wrong_setting_names_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DAOGOU_STREAM__BATCH", "many")
    assert run(["lag"]) == 1
    assert "DAOGOU_STREAM__BATCH" in capsys.readouterr().err


def test_doctor_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DAOGOU_KAFKA__REQUEST_TIMEOUT", "0.5")
    assert run(["doctor", "--broker", "127.0.0.1:1", "--redis", "redis://127.0.0.1:1/0", "--json"]) == 1
    said = capsys.readouterr().out
    assert "no Kafka broker answers at 127.0.0.1:1" in said
    assert "Redis" in said


def test_what_an_extra_would_bring_is_named() -> None:
    """An installation that serves only has neither the embedded cluster nor PyTorch."""
    code = "import sys\nsys.modules['jgo'] = None\nfrom launch.cli import run\nsys.exit(run(['up', '--temporary']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "daogou: this command needs jgo: install daogou[embedded]\n"


def test_a_figure_never_runs_into_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the name's length: they were padded to 36, and some are longer."""
    figures = {"ndcg": 0.5, "validation_popularity_hit_rate_at_100": 0.166667}
    bundle = tiny_bundle(tmp_path / "bundle")
    metrics = tuple(Figure(name=name, value=value) for name, value in figures.items())
    write_manifest(bundle.folder, replace(bundle.manifest, training=replace(bundle.manifest.training, metrics=metrics)))
    assert run(["bundle", "show", str(bundle.folder)]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert {name: float(value) for name, value in map(str.split, shown)} == figures
    assert len({line.rindex(" ") for line in shown}) == 1


def test_the_cache_is_where_xdg_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_settings().embedded.cache == tmp_path / "daogou"
    monkeypatch.setenv("DAOGOU_EMBEDDED__HEAP_MB", "300")
    assert (load_settings().embedded.cache, load_settings().embedded.heap_mb) == (tmp_path / "daogou", 300)
    monkeypatch.setenv("DAOGOU_EMBEDDED__CACHE", "/elsewhere")
    assert str(load_settings().embedded.cache) == "/elsewhere"


def test_ctrl_c_is_130_without_a_word() -> None:
    """Pressed while it waits for a broker that took the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        command = [sys.executable, "-m", "launch.cli", "lag", "--broker", f"127.0.0.1:{mute.getsockname()[1]}"]
        environment = {"DAOGOU_KAFKA__REQUEST_TIMEOUT": "2", "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        mute.settimeout(30)
        call, _ = mute.accept()
        with call:  # kept, or it is hung up before the signal comes
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30) == (b"", b"")
            assert process.returncode == 130


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    command = [sys.executable, "-m", "launch.cli", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(30) == 1
