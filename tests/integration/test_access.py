"""A broker with TLS, logins and rules: who is refused hears why, in one line, before a worker starts."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import ACLOperation, ResourceType

from contracts.errors import AccessRefused, BrokerUnavailable, SettingsRefused, TopicsRefused
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM, DEAD_LETTERS, EMBEDDINGS, RECOMMENDATIONS, RULES
from streams.admin import check_topics, create_topics, describe_topics, lag
from streams.letters import read_letters
from streams.login import check_login
from streams.preflight import check_worker
from streams.producer import Outgoing, Producer
from tests.secure_kafka import ADMIN, SecureKafka, secure_kafka

READ, WRITE = ACLOperation.READ, ACLOperation.WRITE
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as running:
        yield running


@pytest.fixture(scope="module")
def worker(node: SecureKafka) -> Settings:
    """A login with exactly the rights that a worker needs, on topics that are there."""
    create_topics(node.settings(ADMIN).kafka)
    for topic in (CLICKSTREAM, CATALOGUE, EMBEDDINGS, RULES):
        node.allow("worker", TOPIC, topic.name, READ)
    for topic in (EMBEDDINGS, RECOMMENDATIONS, DEAD_LETTERS):
        node.allow("worker", TOPIC, topic.name, WRITE)
    settings = node.settings("worker")
    node.allow("worker", GROUP, settings.stream.group, READ)
    return settings


def test_a_worker_with_its_rights_may_start(worker: Settings) -> None:
    check_worker(worker)
    assert [part.lag for part in lag(worker.kafka, worker.stream.group)] == [0, 0]


async def test_its_login_really_can_write(worker: Settings) -> None:
    producer = Producer(worker.kafka)
    await producer.start()
    await producer.send([Outgoing(DEAD_LETTERS.name, b"k", b"v")])
    await producer.stop()


def test_an_administrator_sees_how_topics_are_kept_and_a_worker_does_not(worker: Settings, node: SecureKafka) -> None:
    seen = {s.topic: (s.cleanup, s.retention_ms) for s in describe_topics(node.settings(ADMIN).kafka)}
    assert seen[CATALOGUE.name] == ("compact", "-1")
    assert seen[CLICKSTREAM.name] == ("delete", str(CLICKSTREAM.retention_ms))
    assert {s.cleanup for s in describe_topics(worker.kafka)} == {""}


def test_a_wrong_password_is_the_logins_fault(node: SecureKafka) -> None:
    with pytest.raises(AccessRefused, match=r"refuses the login 'worker' \(DAOGOU_KAFKA__USERNAME"):
        check_worker(node.settings("worker", "wrong"))


def test_an_unknown_authority_is_the_certificates_fault(node: SecureKafka) -> None:
    with pytest.raises(AccessRefused, match=r"certificate .* cannot be trusted: self-signed.*DAOGOU_KAFKA__CA_FILE"):
        check_worker(node.settings("worker", ca_file=None))


def test_plaintext_to_a_tls_port_names_the_setting(node: SecureKafka) -> None:
    with pytest.raises(BrokerUnavailable, match=r"hangs up on PLAINTEXT; does it speak TLS\? \(DAOGOU_KAFKA__SECURITY"):
        check_worker(node.settings("worker", security="PLAINTEXT"))


def test_no_certificates_in_the_file_names_the_setting(node: SecureKafka, tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="DAOGOU_KAFKA__CA_FILE"):
        check_login(node.settings("worker", ca_file=tmp_path / "missing.pem").kafka)


def test_a_login_without_rights_hears_which_topics(worker: Settings, node: SecureKafka) -> None:
    with pytest.raises(AccessRefused, match=r"clickstream may not be seen .*recommendations may not be seen"):
        check_worker(node.settings("guest"))
    with pytest.raises(AccessRefused, match="dead-letters may not be seen"):
        read_letters(node.settings("guest"), 1)


def test_each_right_that_lacks_is_named(worker: Settings, node: SecureKafka) -> None:
    """A login that may see all, read the clicks, and write nothing."""
    for topic in (CLICKSTREAM, CATALOGUE, EMBEDDINGS, RULES, RECOMMENDATIONS, DEAD_LETTERS):
        node.allow("reader", TOPIC, topic.name, READ)
    with pytest.raises(AccessRefused) as refused:
        check_worker(node.settings("reader"))
    assert "WRITE on topic catalogue.embeddings, WRITE on topic recommendations, WRITE on" in str(refused.value)
    assert "READ" not in str(refused.value)


def test_a_group_of_others_is_refused(worker: Settings, node: SecureKafka) -> None:
    """Faust would hang before it is ready, without a word."""
    other = worker.model_copy(update={"stream": worker.stream.model_copy(update={"group": "others"})})
    with pytest.raises(AccessRefused, match="lacks in Kafka: READ on group others"):
        check_worker(other)


def test_missing_topics_are_missing(worker: Settings, node: SecureKafka) -> None:
    with pytest.raises(TopicsRefused, match=r"none\.clickstream is missing.*topics create"):
        check_topics(node.settings(ADMIN, topic_prefix="none.").kafka)


def test_one_broker_of_the_list_is_enough(worker: Settings, node: SecureKafka) -> None:
    check_login(node.settings("worker", bootstrap_servers=f"127.0.0.1:1,127.0.0.1:{node.port}").kafka)


def test_a_server_that_says_nothing_is_given_up(node: SecureKafka) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(BrokerUnavailable, match=silent):
            check_login(node.settings("worker", bootstrap_servers=silent, request_timeout=0.3).kafka)


def test_refusals_are_not_logged_besides(node: SecureKafka, caplog: pytest.LogCaptureFixture) -> None:
    """The one line is the exception's."""
    with pytest.raises(AccessRefused):
        check_worker(node.settings("worker", "wrong"))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
