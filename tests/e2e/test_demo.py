"""The demo as a person runs it: one command, the real Kafka, the real Valkey, a worker process, a report."""

import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import msgspec
import psutil

from launch.demo.report import Report

COMMAND = (sys.executable, "-m", "launch.cli", "demo")


def children(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(left: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive, [process.cmdline()[:4] for process in alive]


def test_a_short_demo(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    words = "--seconds", "10", "--shoppers", "60", "--rate", "30", "--seed", "3", "--report", str(path)
    process = subprocess.Popen((*COMMAND, *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen: list[psutil.Process] = []
    for line in process.stdout or ():
        if b"ready" in line:
            seen = children(process)
    assert process.wait(60) == 0
    assert len(seen) >= 3
    assert_gone(seen)
    found = msgspec.json.decode(path.read_bytes(), type=Report)
    assert (found.lost, found.unaccounted, found.dead_lettered, found.verify_clean) == (0, 0, 0, True)
    assert 200 < found.events < 400
    assert found.slates > 50
    assert found.freshness_ms.count == found.slates
    assert 0 < found.freshness_ms.p50 < 1000
    assert found.generator_lag_ms.count == found.events
    for arm in found.arms.values():
        assert arm.lists_shown > 0
        assert arm.clicks <= arm.lists_shown
        assert 0 < arm.expected_per_hundred < arm.oracle_per_hundred <= 100


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    words = "--seconds", "300", "--shoppers", "10", "--rate", "5"
    process = subprocess.Popen((*COMMAND, *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline, lines = monotonic() + 90, []
    for line in process.stdout or ():
        lines.append(line)
        if b"shoppers, 5 events/s" in line or monotonic() > deadline:
            break
    seen = children(process)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read() if process.stdout else b""
    assert process.wait(30) == 130, (lines, rest)
    assert b"Traceback" not in rest
    assert len(seen) >= 3
    assert_gone(seen)
