"""Kafka and Valkey together, in a folder that survives a restart or in a temporary one."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from contracts.errors import EnvironmentRefused
from contracts.settings import EmbeddedSettings
from launch.embedded.jars import class_path
from launch.embedded.kafka import Kafka
from launch.embedded.valkey import Valkey

NOTICE = "The embedded cluster is for demo, development and tests: one node, no encryption, no login."


class Cluster:
    """A running Kafka and a running Valkey. ``with Cluster.start() as cluster: ...`` stops both at the end."""

    def __init__(self, kafka: Kafka, valkey: Valkey, folder: Path, lock: FileLock, temporary: bool) -> None:
        self.kafka, self.valkey, self.folder = kafka, valkey, folder
        self._lock, self._temporary = lock, temporary

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
        home = Path(tempfile.mkdtemp(prefix="daogou-")) if folder is None else folder.expanduser().resolve()
        home.mkdir(parents=True, exist_ok=True)
        lock = _own(home)
        say("starting Apache Kafka and Valkey")
        valkey = Valkey(home / "valkey")
        try:
            kafka = Kafka(home / "kafka", jars, settings.heap_mb)
        except BaseException:  # whatever it is, the other server must not outlive it
            valkey.stop()
            raise
        return cls(kafka, valkey, home, lock, temporary=folder is None)

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

    def wait(self) -> None:
        """Return when either server ended by itself."""
        while self.kafka.process.poll() is None and self.valkey.process.poll() is None:
            sleep(0.2)

    def stop(self) -> None:
        """Stop both; a temporary folder goes with them."""
        self.kafka.stop()
        self.valkey.stop()
        self._lock.release()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _own(folder: Path) -> FileLock:
    """Kafka's own lock comes too late: two nodes on one folder damage its log before one of them gives up."""
    lock = FileLock(folder / ".in-use", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EnvironmentRefused(
            f"{folder} is in use by another daogou; stop that one or choose another folder"
        ) from error
    return lock
