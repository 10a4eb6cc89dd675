"""Topic administration through kafka-python: create, check, describe, lag, epochs. Blocking; every call is short."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient
from kafka.admin import NewTopic, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.structs import TopicPartition
from msgspec import Struct

from contracts.errors import BrokerUnavailable, TopicsRefused
from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM, TOPICS, Topic
from streams.clients import connection
from streams.names import physical

_ALREADY_EXISTS = TopicAlreadyExistsError.errno


class TopicState(Struct, frozen=True, kw_only=True):
    """What Kafka says of one topic of the table. ``partitions`` 0: it is not there. ``epoch``: this life's id."""

    topic: str
    partitions: int
    wanted: int
    replication: int
    epoch: str
    cleanup: str
    retention_ms: str

    @property
    def fault(self) -> str:
        """What is wrong with it, or an empty string."""
        if not self.partitions:
            return f"{self.topic} is missing"
        if self.partitions != self.wanted:
            return f"{self.topic} has {self.partitions} partitions, the settings say {self.wanted}"
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
    """A client that is closed at the end. Raises: BrokerUnavailable."""
    try:
        client = KafkaAdminClient(bootstrap_timeout_ms=int(settings.request_timeout * 1000), **connection(settings))
    except (KafkaError, OSError, ValueError) as error:
        raise BrokerUnavailable(
            f"no Kafka broker answers at {settings.bootstrap_servers} "
            f"({type(error).__name__}; DAOGOU_KAFKA__BOOTSTRAP_SERVERS or --broker)"
        ) from error
    try:
        yield client
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
        raise TopicsRefused("; ".join(f"{a['name']}: {a['error_message']}" for a in refused))
    return tuple(a["name"] for a in answers if a["error_code"] == 0)


def describe_topics(settings: KafkaSettings) -> tuple[TopicState, ...]:
    """Every topic of the table as it is in Kafka."""
    with admin_client(settings) as client:
        found = {d["name"]: d for d in client.describe_topics([physical(settings, t) for t in TOPICS])}
    return tuple(_state(settings, topic, found[physical(settings, topic)]) for topic in TOPICS)


def _state(settings: KafkaSettings, topic: Topic, found: dict[str, object]) -> TopicState:
    partitions: list[dict[str, list[int]]] = found["partitions"]  # type: ignore[assignment]
    return TopicState(
        topic=physical(settings, topic),
        partitions=len(partitions),
        wanted=partitions_of(settings, topic),
        replication=len(partitions[0]["replica_nodes"]) if partitions else 0,
        epoch=str(found["topic_id"] or ""),
        cleanup=topic.cleanup.value,
        retention_ms=topic.configs["retention.ms"],
    )


def check_topics(settings: KafkaSettings) -> tuple[TopicState, ...]:
    """Raise: TopicsRefused, naming every topic that is missing or differs, and what to do."""
    states = describe_topics(settings)
    faults = [state.fault for state in states if state.fault]
    if faults:
        raise TopicsRefused("; ".join(faults) + ". Run `daogou topics create`, or correct DAOGOU_KAFKA__PARTITIONS")
    return states


def topic_epoch(settings: KafkaSettings, topic: Topic = CLICKSTREAM) -> str:
    """The id of this life of a topic (KIP-516): re-created, it has another. Raises: TopicsRefused if missing."""
    name = physical(settings, topic)
    with admin_client(settings) as client:
        found = client.describe_topics([name])[0]["topic_id"]
    if not found:
        raise TopicsRefused(f"{name} is missing. Run `daogou topics create`")
    return str(found)


def lag(settings: KafkaSettings, group: str) -> tuple[PartitionLag, ...]:
    """How far a group is in the clickstream, partition by partition."""
    name = physical(settings, CLICKSTREAM)
    with admin_client(settings) as client:
        parts = [TopicPartition(name, p["partition_index"]) for p in client.describe_topics([name])[0]["partitions"]]
        latest = client.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
        earliest = client.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.EARLIEST))
        committed = client.list_group_offsets([group]).get(group, {})
    return tuple(
        PartitionLag(
            partition=part.partition,
            earliest=earliest[part].offset,
            latest=latest[part].offset,
            committed=committed[part].offset if part in committed else -1,
        )
        for part in sorted(parts)
    )
