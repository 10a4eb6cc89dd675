"""The embedded cluster, once for the whole run; each test has its own topics, keys and group on it."""

import logging
import os
import shutil
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from contracts.settings import Settings, load_settings
from launch.embedded import Cluster
from streams.admin import create_topics

pytest_plugins = ["tests.trained"]

#: Numeric libraries read it when they are imported: their pools only slow tests that share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: How quickly inputs are made says how busy the machine is, and nothing about daogou.
hypothesis_settings.register_profile("daogou", suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("daogou")

#: The browser test runs where there is a Chromium; everything else needs none.
collect_ignore = [] if shutil.which("chromium") else ["e2e/test_browser.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run, and how to have it run."""
    if collect_ignore:
        terminalreporter.write_line("no Chromium: the browser test was left out (`apt-get install chromium` brings it)")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs in this process sets up the logs for its own, captured stderr: not for later tests."""
    root = logging.getLogger()
    before = root.handlers[:]
    yield
    root.handlers[:] = before
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Kafka and Valkey on loopback. At the end no child of ours may be left."""
    with Cluster.start() as running:
        yield running
    left = [child for child in psutil.Process().children(recursive=True) if child.is_running()]
    names = [child.name() for child in left if child.status() != psutil.STATUS_ZOMBIE]
    assert not {"java", "valkey-server"} & set(names), names


@pytest.fixture
def settings(cluster: Cluster) -> Settings:
    """Settings of a shop of its own: its prefix is on topics, keys and group. Nothing is created yet."""
    prefix = f"t{uuid4().hex[:10]}."
    return load_settings(
        kafka={"bootstrap_servers": cluster.bootstrap_servers, "topic_prefix": prefix, "partitions": 3},
        redis={"url": cluster.redis_url},
        stream={"group": f"{prefix}daogou", "session_timeout": 6.0},
    )


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """The same, with its topics."""
    create_topics(settings.kafka)
    return settings
