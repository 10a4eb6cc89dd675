"""Kafka and Valkey together, in a folder that survives a restart or in a temporary one."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any, NoReturn

from contracts.errors import EnvironmentRefused
from contracts.settings import EmbeddedSettings
from launch.embedded.folder_lock import FolderLock
from launch.embedded.jars import class_path
from launch.embedded.kafka import Kafka
from launch.embedded.process import tail
from launch.embedded.valkey import Valkey

NOTICE = "The embedded cluster is for demo, development and tests: one node, no encryption, no login."
LOOK_SECONDS = 0.2


class Cluster:
    """A running Kafka and a running Valkey. ``with Cluster.start() as cluster: ...`` stops both at the end."""

    def __init__(self, kafka: Kafka, valkey: Valkey, folder: Path, undo: ExitStack) -> None:
        self.kafka, self.valkey, self.folder = kafka, valkey, folder
        self._undo = undo

    @classmethod
    def start(
        cls,
        folder: Path | None = None,
        settings: EmbeddedSettings | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> "Cluster":
        """Start both. ``folder`` None: a temporary one, gone at the end. ``say`` hears about long work.

        Call it from a thread that lives as long as the cluster should: the kernel ends the children with it.

        Raises:
            EnvironmentRefused: the jars cannot be had, the folder is in use, or a server does not start.
        """
        settings = settings or EmbeddedSettings()
        jars = class_path(settings.cache.expanduser(), settings.jars, say)
        with ExitStack() as undo:
            home = _home(folder, undo)
            lock = FolderLock(home)
            undo.callback(lock.release)
            say("starting Apache Kafka and Valkey")
            valkey = Valkey(home / "valkey", lock.fd)
            undo.callback(valkey.stop)
            kafka = Kafka(home / "kafka", jars, settings.heap_mb, lock.fd)
            undo.callback(kafka.stop)
            return cls(kafka, valkey, home, undo.pop_all())

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's host:port."""
        return self.kafka.bootstrap_servers

    @property
    def redis_url(self) -> str:
        """Valkey's redis:// address."""
        return self.valkey.url

    def overrides(self) -> dict[str, Any]:
        """What ``load_settings`` needs to reach this cluster."""
        return {"kafka": {"bootstrap_servers": self.bootstrap_servers}, "redis": {"url": self.redis_url}}

    def wait(self) -> NoReturn:
        """Raises: EnvironmentRefused once either server ended by itself."""
        while True:
            for server in (self.kafka, self.valkey):
                if server.process.poll() is not None:
                    raise EnvironmentRefused(
                        f"{server.log.stem} ended by itself; the end of its log: {tail(server.log)}"
                    )
            sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Stop both; a temporary folder goes with them."""
        self._undo.close()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _home(folder: Path | None, undo: ExitStack) -> Path:
    if folder is None:
        home = Path(tempfile.mkdtemp(prefix="daogou-"))
        undo.callback(partial(shutil.rmtree, home, ignore_errors=True))
        return home
    home = folder.expanduser().resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentRefused(f"{home} cannot be made: {error.strerror}; choose another folder") from error
    return home
