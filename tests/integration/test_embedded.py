"""The embedded cluster: it survives a restart, ends with its parent, and refuses what it must."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from contracts.errors import EnvironmentRefused
from contracts.settings import EmbeddedSettings
from launch.embedded import Cluster
from launch.embedded.jars import LOCK, class_path, kafka_version

DEADLINE_S = 20.0
CHILD = """
import sys, time
from pathlib import Path
from launch.embedded import Cluster
cluster = Cluster.start(Path(sys.argv[1]))
print(cluster.kafka.process.pid, cluster.valkey.process.pid, flush=True)
time.sleep(600)
"""


def test_all_of_kafka_is_one_version() -> None:
    jars = class_path(EmbeddedSettings().cache.expanduser())
    ours = [jar.name for jar in jars if jar.name.startswith(("kafka-clients-", "kafka-server-", "kafka_2.13-"))]
    assert len(ours) >= 3
    assert all(kafka_version() in name for name in ours), ours
    assert "http" not in LOCK.read_text()


def test_a_restart_keeps_data_and_ports(tmp_path: Path) -> None:
    with Cluster.start(tmp_path) as cluster:
        servers, url = cluster.bootstrap_servers, cluster.redis_url
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.create_topics([NewTopic("kept", 1, 1)])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=servers)
        producer.send("kept", b"value").get(10)
        producer.close()
        client = redis.Redis.from_url(url)
        client.set("kept", "value")
        client.execute_command("WAITAOF", 1, 0, 5000)
        client.close()
    with Cluster.start(tmp_path) as cluster:
        assert (cluster.bootstrap_servers, cluster.redis_url) == (servers, url)
        consumer = KafkaConsumer("kept", bootstrap_servers=servers, auto_offset_reset="earliest")
        assert next(iter(consumer)).value == b"value"
        consumer.close()
        assert redis.Redis.from_url(url).get("kept") == b"value"


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with Cluster.start(tmp_path), pytest.raises(EnvironmentRefused, match="in use"):
        Cluster.start(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_both_end_with_their_parent(tmp_path: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    os.kill(parent.pid, how)
    parent.wait()
    gone, alive = psutil.wait_procs(children, timeout=DEADLINE_S)
    assert not alive
    assert len(gone) == 2


def test_up_says_how_to_connect_and_ends_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "launch.cli", "up", "--temporary"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    deadline = time.monotonic() + 60
    while "Ctrl-C" not in said and time.monotonic() < deadline:
        said += process.stdout.readline()
    assert "DAOGOU_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:" in said
    assert "development" in said
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_tampered_jar_is_refused(tmp_path: Path) -> None:
    jars = class_path(EmbeddedSettings().cache.expanduser())
    for jar in jars:
        (tmp_path / jar.name).symlink_to(jar)
    assert len(class_path(tmp_path / "unused", tmp_path)) == len(jars)
    victim = tmp_path / jars[0].name
    victim.unlink()
    victim.write_bytes(jars[0].read_bytes() + b"x")
    with pytest.raises(EnvironmentRefused, match=f"{victim.name} is not the file"):
        class_path(tmp_path / "unused", tmp_path)


def test_no_jars_and_no_repository_names_the_two_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(EnvironmentRefused, match=r"DAOGOU_EMBEDDED__JARS.*--broker"):
        class_path(tmp_path)


def test_an_interrupted_download_is_found(tmp_path: Path) -> None:
    """A truncated jar in the cache is removed and named, not used."""
    source = class_path(EmbeddedSettings().cache.expanduser())[0]
    relative = source.relative_to(EmbeddedSettings().cache.expanduser())
    half = tmp_path / relative
    half.parent.mkdir(parents=True)
    half.write_bytes(source.read_bytes()[:100])
    assert hashlib.sha256(half.read_bytes()).digest() != hashlib.sha256(source.read_bytes()).digest()
    with pytest.raises(EnvironmentRefused, match="sha256 differs"):
        class_path(tmp_path)
    assert not half.exists()
