"""The name of a topic in Kafka: the shop's prefix before the table's name."""

from contracts.settings import KafkaSettings
from contracts.topics import Topic


def physical(settings: KafkaSettings, topic: Topic) -> str:
    """``settings.topic_prefix`` + the topic's name."""
    return settings.topic_prefix + topic.name
