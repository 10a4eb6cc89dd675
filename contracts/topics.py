"""ONE table of topics: name, key, value, partitions, how long they are kept."""

from enum import Enum

from msgspec import Struct

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Cleanup(Enum):
    """Kafka's ``cleanup.policy``."""

    DELETE = "delete"
    COMPACT = "compact"
    COMPACT_DELETE = "compact,delete"


class Topic(Struct, frozen=True, kw_only=True):
    """One topic. ``partitions`` 0 means: as many as the clickstream. ``retention_ms`` None: for ever."""

    name: str
    key: str
    value: str
    cleanup: Cleanup
    partitions: int = 0
    retention_ms: int | None = None

    @property
    def configs(self) -> dict[str, str]:
        """The topic's settings as Kafka wants them."""
        retention = -1 if self.retention_ms is None else self.retention_ms
        return {"cleanup.policy": self.cleanup.value, "retention.ms": str(retention)}


CLICKSTREAM = Topic(name="clickstream", key="user", value="event, any dialect", cleanup=Cleanup.DELETE,
                    retention_ms=7 * DAY_MS)  # fmt: skip
CATALOGUE = Topic(name="catalogue", key="item", value="CatalogueItem", cleanup=Cleanup.COMPACT, partitions=2)
EMBEDDINGS = Topic(name="catalogue.embeddings", key="item", value="Embedding", cleanup=Cleanup.COMPACT, partitions=2)
RECOMMENDATIONS = Topic(name="recommendations", key="user", value="Slate", cleanup=Cleanup.COMPACT_DELETE,
                        retention_ms=7 * DAY_MS)  # fmt: skip
MODELS = Topic(name="models", key="model name", value="bundle digest", cleanup=Cleanup.COMPACT, partitions=1)
RULES = Topic(name="rules", key="rule", value="Rule", cleanup=Cleanup.COMPACT, partitions=1)
DEAD_LETTERS = Topic(name="clickstream.dead-letters", key="as it came", value="as it came", cleanup=Cleanup.DELETE,
                     partitions=1, retention_ms=30 * DAY_MS)  # fmt: skip

TOPICS = (CLICKSTREAM, CATALOGUE, EMBEDDINGS, RECOMMENDATIONS, MODELS, RULES, DEAD_LETTERS)
