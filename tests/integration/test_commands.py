"""The operator's commands on the real servers: topics, lag, dead-letters, doctor."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from contracts.errors import BadInput, Reason
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM, DEAD_LETTERS, TOPICS
from launch.cli import run
from streams.admin import admin_client, describe_topics, topic_epoch
from streams.clients import connection
from streams.dead_letters import encode_headers, letter_of
from streams.names import physical
from streams.producer import Outgoing, Producer

KEY, VALUE = b"shopper \xff", b"{not json \x00"
TRACE = ("traceparent", b"00-1-2-01")


@pytest.fixture
def here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The commands find this test's own topics, as a user's would: by the environment."""
    for name, value in (
        ("KAFKA__BOOTSTRAP_SERVERS", settings.kafka.bootstrap_servers), ("KAFKA__PARTITIONS", "3"),
        ("KAFKA__TOPIC_PREFIX", settings.kafka.topic_prefix), ("STREAM__GROUP", settings.stream.group),
        ("REDIS__URL", settings.redis.url.get_secret_value()),
    ):  # fmt: skip
        monkeypatch.setenv(f"DAOGOU_{name}", value)
    return settings


def send(settings: Settings, *records: Outgoing) -> None:
    async def sending() -> None:
        producer = Producer(settings.kafka)
        await producer.start()
        await producer.send(records)
        await producer.stop()

    asyncio.run(sending())


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline


def read(settings: Settings, topic: str, count: int) -> list[Any]:
    """The first records of a topic, waited for."""
    consumer = KafkaConsumer(topic, auto_offset_reset="earliest", **connection(settings.kafka))
    records: list[Any] = []
    deadline = time.monotonic() + 20
    while len(records) < count and time.monotonic() < deadline:
        records += [record for found in consumer.poll(200).values() for record in found]
    consumer.close()
    return records


def test_topics_are_created_checked_described(here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", "check"]) == 1
    assert "clickstream is missing" in capsys.readouterr().err
    assert run(["topics", "create"]) == 0
    assert run(["topics", "create"]) == 0
    assert "all topics are there" in capsys.readouterr().out
    assert run(["topics", "check"]) == 0
    capsys.readouterr()
    assert run(["topics", "describe", "--json"]) == 0
    told = {topic["topic"]: topic for topic in json.loads(capsys.readouterr().out)}
    assert set(told) == {physical(here.kafka, topic) for topic in TOPICS}
    clicks = told[physical(here.kafka, CLICKSTREAM)]
    assert (clicks["partitions"], clicks["cleanup"], clicks["epoch"]) == (3, "delete", topic_epoch(here.kafka))


def test_what_differs_from_the_table_is_named(
    shop: Settings, here: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A catalogue that Kafka deletes after a week would be gone."""
    name = physical(here.kafka, CATALOGUE)
    with admin_client(here.kafka) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "delete"})])
    wait_until(lambda: any("delete, it must" in state.fault for state in describe_topics(here.kafka)))
    monkeypatch.setenv("DAOGOU_KAFKA__PARTITIONS", "4")
    assert run(["topics", "check"]) == 1
    said = capsys.readouterr().err
    assert f"{name} has cleanup.policy delete, it must be compact" in said
    assert "clickstream has 3 partitions, not 4 (DAOGOU_KAFKA__PARTITIONS)" in said
    assert len(said.splitlines()) == 1


def test_a_topic_made_again_has_another_epoch(shop: Settings) -> None:
    name, before = physical(shop.kafka, CLICKSTREAM), topic_epoch(shop.kafka)
    with admin_client(shop.kafka) as client:
        client.delete_topics([name])
    assert run(["topics", "create", "--broker", shop.kafka.bootstrap_servers]) == 0
    states = {state.topic: state for state in describe_topics(shop.kafka)}
    assert states[name].epoch != before


def test_lag_counts_what_is_left_and_what_was_lost(
    shop: Settings, here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = physical(here.kafka, CLICKSTREAM)
    send(here, *(Outgoing(topic, b"u", b"{}", partition=1) for _ in range(10)))
    place = TopicPartition(topic, 1)
    reader = KafkaConsumer(group_id=here.stream.group, enable_auto_commit=False, **connection(here.kafka))
    reader.assign([place])
    reader.seek(place, 2)
    reader.poll(timeout_ms=2000, max_records=2)
    reader.commit()
    committed = reader.committed(place)
    reader.close()
    with admin_client(here.kafka) as client:
        client.delete_records({place: 7})
    assert run(["lag", "--json"]) == 0
    told = {part["partition"]: part for part in json.loads(capsys.readouterr().out)}
    assert told[1] == {
        "partition": 1, "earliest": 7, "latest": 10, "committed": committed, "lag": 3, "gap": 7 - committed,
    }  # fmt: skip
    assert told[0] == {"partition": 0, "earliest": 0, "latest": 0, "committed": -1, "lag": 0, "gap": 0}
    assert run(["doctor", "--json"]) == 1
    wrong = [finding for finding in json.loads(capsys.readouterr().out) if not finding["ok"]]
    assert [finding["what"] for finding in wrong] == ["unread records"]
    assert f"{7 - committed} records were deleted" in wrong[0]["says"]


def test_doctor_is_content_where_all_is_well(
    shop: Settings, here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "wrong" not in said
    assert f"{len(TOPICS)} topics as the table says" in said
    assert "says what is on its disk" in said


def letter(settings: Settings, offset: int, topic: str = "") -> Outgoing:
    """A dead letter as a worker writes it."""
    source = topic or physical(settings.kafka, CLICKSTREAM)

    class Record:
        key, value, headers = KEY, VALUE, (TRACE,)
        partition = 2

    Record.topic, Record.offset = source, offset  # type: ignore[attr-defined]
    found = letter_of(Record, BadInput(Reason.NOT_JSON, f"number {offset}"), 1_700_000_000_000, settings.stream.group)
    return Outgoing(physical(settings.kafka, DEAD_LETTERS), KEY, VALUE, None, tuple(encode_headers(found)))


def test_dead_letters_are_listed_shown_and_sent_back(
    shop: Settings, here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    send(here, letter(here, 4), letter(here, 5))
    assert run(["dead-letters", "list", "--json", "--limit", "1"]) == 0
    (newest,) = json.loads(capsys.readouterr().out)
    assert (newest["at"], newest["letter"]["offset"], newest["letter"]["reason"]) == ("0/1", 5, "not_json")
    assert run(["dead-letters", "list"]) == 0
    assert run(["dead-letters", "show", "0/0"]) == 0
    said = capsys.readouterr().out
    assert "number 4" in said
    assert repr(VALUE) in said

    assert run(["dead-letters", "redrive", "0/0", "0/1"]) == 0
    back = read(here, physical(here.kafka, CLICKSTREAM), 2)
    assert [(r.key, r.value) for r in back] == [(KEY, VALUE)] * 2
    assert dict(back[0].headers) == dict([TRACE, ("daogou.attempts", b"1")])
    again = letter_of(back[0], BadInput(Reason.NOT_JSON, "still"), 0, "g")
    assert again.attempts == 2, "the counter goes on"


@pytest.mark.parametrize("at", ["7/0", "0/99", "0", "a/b", "-1/0"])
def test_a_letter_that_is_not_there_is_one_line(
    shop: Settings, here: Settings, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dead-letters", "show", "--", at]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_forged_origin_is_not_obeyed(shop: Settings, here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Who can write dead letters could else have us write anywhere."""
    send(here, letter(here, 1, topic="somebody.elses"), Outgoing(physical(here.kafka, DEAD_LETTERS), None, None))
    assert run(["dead-letters", "list"]) == 0
    for at in ("0/0", "0/1"):
        assert run(["dead-letters", "redrive", at]) == 1
        assert "is not sent back" in capsys.readouterr().err


def test_no_topics_yet_is_one_line(here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["lag"], ["dead-letters", "list"], ["worker"]):
        assert run(words) == 1
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1
        assert "Run `daogou topics create`" in said[0]
