"""A child process that ends when its parent does, even if the parent is killed."""

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

from contracts.errors import EnvironmentRefused

STOP_SECONDS = 15.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def start(
    command: Sequence[str | Path], output: Path, folder: Path, lock: int | None = None
) -> subprocess.Popen[bytes]:
    """Start ``command`` in ``folder``, its output into a file. On Linux the kernel ends it with this process.

    ``lock`` is a file descriptor that the child holds open as long as it lives.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_parent() -> None:  # runs in the child, between fork and exec
        if libc is not None:
            libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)

    with output.open("ab") as sink:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=folder, preexec_fn=die_with_parent,  # noqa: PLW1509
            start_new_session=True, pass_fds=() if lock is None else (lock,),
        )  # fmt: skip


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL for what does not end."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def is_open(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_open(process: subprocess.Popen[bytes], port: int, seconds: float, log: Path) -> None:
    """Wait until the child listens. Raises: EnvironmentRefused with the end of its log if it ends or hangs."""
    deadline = monotonic() + seconds
    while not is_open(port):
        if process.poll() is not None or monotonic() > deadline:
            what = "ended" if process.poll() is not None else f"did not listen within {seconds:.0f} s"
            raise EnvironmentRefused(f"{log.stem} {what}; the end of {log}: {tail(log)}")
        sleep(0.02)


def tail(log: Path, lines: int = 3) -> str:
    """The last lines of a log, on one line."""
    text = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " | ".join(text[-lines:]) or "(empty)"
