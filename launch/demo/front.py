"""The demo's shop page and API: one more process, which ends with this one."""

import subprocess
from pathlib import Path
from types import TracebackType

from launch.demo.command import command_of
from launch.embedded.process import free_ports, is_open, start, stop, wait_open

READY_SECONDS = 60.0
HOST = "127.0.0.1"


class Front:
    """``daogou serve --shop`` beside the workers, while the ``with`` lasts. ``port``: another one where it is taken.

    Raises: EnvironmentRefused with the end of its log, if it does not open.
    """

    def __init__(self, port: int, broker: str, redis_url: str, folder: Path) -> None:
        self._port = free_ports(1)[0] if is_open(port) else port
        self._log, self._folder = folder / "serve.log", folder
        words = "serve", "--shop", "--port", str(self._port)
        self._command = command_of(broker, redis_url, *words, PYTHONUNBUFFERED="1")

    @property
    def pid(self) -> int:
        """Of the process, once it runs."""
        return self._process.pid

    @property
    def shop(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self._port}/shop/"

    @property
    def operator(self) -> str:
        """The same for the operator; the key is behind the #, which no browser sends anywhere."""
        lines = self._log.read_text(errors="replace").splitlines()
        key = next((line.rpartition(" ")[2] for line in lines if line.startswith("operator key")), "")
        return f"http://{HOST}:{self._port}/operator/#{key}"

    def __enter__(self) -> "Front":
        self._log.unlink(missing_ok=True)
        self._process: subprocess.Popen[bytes] = start(self._command, self._log, self._folder)
        try:
            wait_open(self._process, self._port, READY_SECONDS, self._log)
        except BaseException:  # whatever ends the wait, Ctrl-C too: no process is left
            stop(self._process)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(self._process)
