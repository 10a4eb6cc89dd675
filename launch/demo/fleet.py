"""The demo's workers: processes of this same Python, as in production, that end with this one."""

import asyncio
import subprocess
from pathlib import Path
from time import monotonic
from types import TracebackType

import msgspec
from msgspec import Struct

from contracts.errors import EnvironmentRefused
from launch.demo.command import command_of
from launch.embedded.process import start, stop, tail

READY_SECONDS = 90.0
LOOK_AGAIN_SECONDS = 0.1


class LogLine(Struct):
    """A line of a worker's log."""

    event: str = ""


class Fleet:
    """Running workers. ``with Fleet(...)`` stops them all at the end; each drains what it has in hand."""

    def __init__(self, count: int, broker: str, redis_url: str, folder: Path) -> None:
        self._logs = [folder / f"worker-{number}.log" for number in range(count)]
        command = command_of(broker, redis_url, "worker", DAOGOU_LOG_JSON="true")
        self._processes: list[subprocess.Popen[bytes]] = []
        for log in self._logs:
            log.unlink(missing_ok=True)
            self._processes.append(start(command, log, folder))

    async def ready(self) -> None:
        """Return once every worker says so. Raises: EnvironmentRefused with the end of the log of one that does not."""
        deadline = monotonic() + READY_SECONDS
        while not all(map(_is_ready, self._logs)):
            self.check()
            if monotonic() > deadline:
                raise EnvironmentRefused(f"a worker was not ready within {READY_SECONDS:.0f} s: {tail(self._logs[0])}")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def check(self) -> None:
        """Raises: EnvironmentRefused if a worker ended."""
        for process, log in zip(self._processes, self._logs, strict=True):
            if process.poll() is not None:
                raise EnvironmentRefused(f"{log.stem} ended with {process.returncode}: {tail(log)}")

    def stop(self) -> None:
        """Ask all to drain, then wait for all."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            stop(process)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _is_ready(log: Path) -> bool:
    return any(_event(line) == "ready" for line in log.read_bytes().splitlines())


def _event(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=LogLine).event
    except msgspec.DecodeError:
        return ""  # a half-written line, or a library's own
