"""Topic administration through kafka-python: create, check, describe, lag, epochs. Blocking; every call is short."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic, OffsetSpec
from kafka.errors import (
    ClusterAuthorizationFailedError,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)
from kafka.structs import TopicPartition
from msgspec import Struct

from contracts.errors import AccessRefused, BrokerUnavailable, TopicsRefused
from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM, TOPICS, Topic
from streams.clients import connection
from streams.login import check_login, no_answer
from streams.names import physical

_ALREADY_EXISTS = TopicAlreadyExistsError.errno
_DENIED = TopicAuthorizationFailedError.errno
_FORBIDDEN = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)
_NOT_YET = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError)
_CONFIGS = ("cleanup.policy", "retention.ms")
_AGAIN_SECONDS = 0.1


class TopicState(Struct, frozen=True, kw_only=True):
    """What Kafka says of one topic of the table.

    ``partitions`` 0: it is not there, or this login may not see it (``denied``). ``epoch``: this life's id.
    ``cleanup`` and ``retention_ms`` are empty where the login may not see them. ``allowed``: what the login may do with
    it (READ, WRITE, ...).
    """

    topic: str
    partitions: int
    partitions_wanted: int
    replication: int
    replication_wanted: int
    epoch: str
    cleanup: str
    cleanup_wanted: str
    retention_ms: str
    denied: bool
    allowed: tuple[str, ...]

    @property
    def fault(self) -> str:
        """What is wrong with it, or an empty string."""
        if self.denied:
            return f"{self.topic} may not be seen by this login (or is missing)"
        if not self.partitions:
            return f"{self.topic} is missing"
        if self.partitions != (wanted := self.partitions_wanted):
            return f"{self.topic} has {self.partitions} partitions, not {wanted} (DAOGOU_KAFKA__PARTITIONS)"
        if self.replication < (wanted := self.replication_wanted):
            return f"{self.topic} has {self.replication} copies, not {wanted} (DAOGOU_KAFKA__REPLICATION)"
        if self.cleanup and set(self.cleanup.split(",")) != set(self.cleanup_wanted.split(",")):
            return f"{self.topic} has cleanup.policy {self.cleanup}, it must be {self.cleanup_wanted}"
        return ""


class PartitionLag(Struct, frozen=True, kw_only=True):
    """One partition of the clickstream as a group stands in it. ``committed`` -1: nothing yet."""

    partition: int
    earliest: int
    latest: int
    committed: int

    @property
    def lag(self) -> int:
        """Records not yet committed."""
        return self.latest - max(self.committed, self.earliest)

    @property
    def gap(self) -> int:
        """Records that the group had not read when Kafka deleted them."""
        return max(0, self.earliest - self.committed) if self.committed >= 0 else 0


@contextmanager
def admin_client(settings: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """A client that is closed at the end. Raises: BrokerUnavailable, AccessRefused, SettingsRefused."""
    check_login(settings)
    try:
        client = KafkaAdminClient(bootstrap_timeout_ms=int(settings.request_timeout * 1000), **connection(settings))
    except (KafkaError, OSError, ValueError) as error:
        raise no_answer(settings, error) from error
    try:
        yield client
    except _FORBIDDEN as error:
        raise AccessRefused(f"Kafka at {settings.bootstrap_servers} forbids it: {type(error).__name__}") from error
    except KafkaError as error:
        raise BrokerUnavailable(f"Kafka at {settings.bootstrap_servers} refused: {type(error).__name__}") from error
    finally:
        client.close()


def partitions_of(settings: KafkaSettings, topic: Topic) -> int:
    """How many partitions a topic of the table should have."""
    return topic.partitions or settings.partitions


def create_topics(settings: KafkaSettings) -> tuple[str, ...]:
    """Create what is missing of the table. Returns the names created. Raises: TopicsRefused, BrokerUnavailable."""
    wanted = [
        NewTopic(physical(settings, t), partitions_of(settings, t), settings.replication, topic_configs=t.configs)
        for t in TOPICS
    ]
    with admin_client(settings) as client:
        answers = client.create_topics(wanted, raise_errors=False, wait_for_metadata=True)["topics"]
    refused = [a for a in answers if a["error_code"] not in (0, _ALREADY_EXISTS)]
    if refused:
        raise TopicsRefused("; ".join(f"{a['name']}: {a['error_message'] or a['error_code']}" for a in refused))
    return tuple(a["name"] for a in answers if a["error_code"] == 0)


def describe_topics(settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> tuple[TopicState, ...]:
    """Topics of the table as they are in Kafka, missing ones too."""
    names = [physical(settings, topic) for topic in topics]
    with admin_client(settings) as client:
        found = {d["name"]: d for d in client.describe_topics(names)}
        configs = _configs(client, [name for name in names if found[name]["partitions"]])
    return tuple(_state(settings, t, found[name], configs.get(name, {})) for t, name in zip(topics, names, strict=True))


def _configs(client: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Empty for a topic whose configuration the login may not see."""
    if not names:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_CONFIGS)) for name in names]
    answers = client.describe_configs(asked, config_filter="all")["topic"]
    return {name: {key: str(value["value"]) for key, value in found.items()} for name, found in answers.items()}


def _state(settings: KafkaSettings, topic: Topic, found: Mapping[str, Any], configs: Mapping[str, str]) -> TopicState:
    partitions = found["partitions"]
    return TopicState(
        topic=physical(settings, topic),
        partitions=len(partitions),
        partitions_wanted=partitions_of(settings, topic),
        replication=len(partitions[0]["replica_nodes"]) if partitions else 0,
        replication_wanted=settings.replication,
        epoch=str(found["topic_id"] or ""),
        cleanup=configs.get("cleanup.policy", ""),
        cleanup_wanted=topic.cleanup.value,
        retention_ms=configs.get("retention.ms", ""),
        denied=found["error_code"] == _DENIED,
        allowed=tuple(found["authorized_operations"] or ()),
    )


def check_topics(settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> tuple[TopicState, ...]:
    """What ``describe_topics`` says, if all is well.

    Raises:
        AccessRefused: naming every topic that the login may not see.
        TopicsRefused: naming every topic that is missing or differs, and what to do.
    """
    states = describe_topics(settings, topics)
    denied = [state.fault for state in states if state.denied]
    if denied:
        raise AccessRefused("; ".join(denied) + ". It needs the right to DESCRIBE them")
    faults = [state.fault for state in states if state.fault]
    if faults:
        missing = any(not state.partitions for state in states)
        raise TopicsRefused("; ".join(faults) + (". Run `daogou topics create`" if missing else ""))
    return states


def topic_epoch(settings: KafkaSettings, topic: Topic = CLICKSTREAM) -> str:
    """The id of this life of a topic (KIP-516): re-created, it has another.

    Raises:
        TopicsRefused: it is missing.
        AccessRefused: the login may not see it.
    """
    with admin_client(settings) as client:
        return str(_existing(client, physical(settings, topic))["topic_id"])


def _existing(client: KafkaAdminClient, name: str) -> Mapping[str, Any]:
    (found,) = client.describe_topics([name])
    if found["error_code"] == _DENIED:
        raise AccessRefused(f"{name} may not be seen by this login (or is missing): it needs the right to DESCRIBE it")
    if not found["partitions"]:
        raise TopicsRefused(f"{name} is missing. Run `daogou topics create`")
    return found  # type: ignore[no-any-return]


def partition_count(settings: KafkaSettings, topic: Topic) -> int:
    """How many partitions a topic has in Kafka. Raises: as ``topic_epoch``."""
    with admin_client(settings) as client:
        return len(_existing(client, physical(settings, topic))["partitions"])


def committed_offsets(client: KafkaAdminClient, settings: KafkaSettings, group: str) -> dict[TopicPartition, int]:
    """Where a group stands. Waits for its coordinator, which a young cluster has yet to make."""
    deadline = monotonic() + settings.request_timeout
    while True:
        try:
            found = client.list_group_offsets([group]).get(group, {})
        except _NOT_YET:
            if monotonic() > deadline:
                raise
            sleep(_AGAIN_SECONDS)
        else:
            return {part: int(at.offset) for part, at in found.items()}


def lag(settings: KafkaSettings, group: str) -> tuple[PartitionLag, ...]:
    """How far a group is in the clickstream, partition by partition. Raises: as ``topic_epoch``."""
    name = physical(settings, CLICKSTREAM)
    with admin_client(settings) as client:
        parts = [TopicPartition(name, number) for number in range(len(_existing(client, name)["partitions"]))]
        latest = client.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
        earliest = client.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.EARLIEST))
        committed = committed_offsets(client, settings, group)
    return tuple(
        PartitionLag(
            partition=part.partition,
            earliest=earliest[part].offset,
            latest=latest[part].offset,
            committed=committed.get(part, -1),
        )
        for part in parts
    )
