"""Names in Kafka, and places: a topic with the shop's prefix, the partition of a key."""

from aiokafka.partitioner import murmur2

from contracts.settings import KafkaSettings
from contracts.topics import Topic


def physical(settings: KafkaSettings, topic: Topic) -> str:
    """``settings.topic_prefix`` + the topic's name."""
    return settings.topic_prefix + topic.name


def partition_of(key: bytes, partitions: int) -> int:
    """Where every Kafka client puts a key: murmur2, its sign bit dropped."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
