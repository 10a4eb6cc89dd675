"""The embedded cluster: it survives a restart, ends with its parent, and refuses what it must."""

import signal
import socket
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


def test_a_restart_keeps_data_and_ports_and_a_folder_in_use_is_refused(tmp_path: Path) -> None:
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
        with pytest.raises(EnvironmentRefused, match="in use"):
            Cluster.start(tmp_path)
    with Cluster.start(tmp_path) as cluster:
        assert (cluster.bootstrap_servers, cluster.redis_url) == (servers, url)
        consumer = KafkaConsumer("kept", bootstrap_servers=servers, auto_offset_reset="earliest")
        assert next(iter(consumer)).value == b"value"
        consumer.close()
        assert redis.Redis.from_url(url).get("kept") == b"value"


def test_both_end_with_their_killed_parent_and_the_folder_is_free_then(tmp_path: Path) -> None:
    """Started again at once: the next owner waits for the orphans, which still hold the folder's lock."""
    parent = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    with Cluster.start(tmp_path):
        assert not [child for child in children if child.is_running()]


def test_ports_taken_by_another_program_are_named(tmp_path: Path) -> None:
    """Before that: a first start that was cut off (ports written, nothing formatted) is begun again."""
    before = psutil.Process().children()
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "ports").write_text("1 2")
    with Cluster.start(tmp_path) as cluster:
        port = cluster.kafka.port
    assert port != 1
    with socket.create_server(("127.0.0.1", port)), pytest.raises(EnvironmentRefused, match=f"port {port} is taken"):
        Cluster.start(tmp_path)
    assert psutil.Process().children() == before


def _up() -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "launch.cli", "up", "--temporary"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    deadline = time.monotonic() + 60
    while "Ctrl-C" not in said and time.monotonic() < deadline:
        said += process.stdout.readline()
    return process, said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_up_says_how_to_connect_and_ends_when_asked(how: signal.Signals) -> None:
    process, said = _up()
    assert "DAOGOU_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:" in said
    assert "development" in said
    children = psutil.Process(process.pid).children()
    process.send_signal(how)
    rest, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, rest, errors) == (0, "stopping\n", "")
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_up_says_so_when_a_server_ends_by_itself() -> None:
    process, _ = _up()
    next(c for c in psutil.Process(process.pid).children() if c.name() == "valkey-server").kill()
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert errors.startswith("daogou: valkey ended by itself")
    assert len(errors.splitlines()) == 1


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
    assert victim.exists(), "the folder is the user's: nothing is removed from it"


def test_a_jar_that_is_missing_from_the_given_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match=r"lacks kafka_2\.13-.*\.jar"):
        class_path(tmp_path / "unused", tmp_path)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository can be reached."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


@pytest.mark.usefixtures("offline")
def test_no_jars_and_no_repository_names_the_two_ways_out(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match=r"DAOGOU_EMBEDDED__JARS.*--broker"):
        class_path(tmp_path)


@pytest.mark.usefixtures("offline")
def test_half_a_download_is_never_used(tmp_path: Path) -> None:
    """It is removed, said so, and fetched again (here: cannot be)."""
    source = class_path(EmbeddedSettings().cache.expanduser())[0]
    half = tmp_path / source.relative_to(EmbeddedSettings().cache.expanduser())
    half.parent.mkdir(parents=True)
    half.write_bytes(source.read_bytes()[:100])
    said: list[str] = []
    with pytest.raises(EnvironmentRefused, match="cannot be reached"):
        class_path(tmp_path, say=said.append)
    assert not half.exists()
    assert half.name in said[0]
    assert "46 jars" in said[1]


def test_a_cache_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentRefused, match="DAOGOU_EMBEDDED__CACHE"):
        class_path(tmp_path / "file" / "cache")
