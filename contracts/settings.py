"""The settings tree: frozen, read from ``DAOGOU_*`` (nested by ``__``), every field with its meaning.

The only place that reads the environment. Settings that are unsafe outside development are refused at start.
"""

import os
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.errors import SettingsRefused
from contracts.precision import Precision


class Environment(Enum):
    """Where daogou runs. Development allows what production refuses."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Security(Enum):
    """Kafka's ``security.protocol``. PLAIN over plaintext is not offered at all."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_SSL = "SASL_SSL"


class Provider(Enum):
    """Where the models run. CUDA is asserted: there is no silent fallback."""

    CPU = "cpu"
    CUDA = "cuda"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class KafkaSettings(_Section):
    """How to reach Kafka."""

    bootstrap_servers: str = "127.0.0.1:9092"
    """Comma-separated host:port."""
    security: Security = Security.PLAINTEXT
    """PLAINTEXT is refused in production."""
    username: str = ""
    """SCRAM-SHA-512 user (SASL_SSL)."""
    password: SecretStr = SecretStr("")
    """SCRAM-SHA-512 password (SASL_SSL)."""
    ca_file: Path | None = None
    """PEM file of the authority that signed the brokers' certificates; None: the system's."""
    topic_prefix: str = Field("", pattern=r"^[a-zA-Z0-9._-]{0,64}$")
    """Put before every topic's name, so that several shops can share a cluster."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 6
    """Partitions of the clickstream. Frozen once there are profiles: changing it is a rebuild."""
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    """Copies of each partition; 3 in production."""
    request_timeout: Seconds = 10.0
    """Seconds until a start-up call to Kafka counts as failed."""


class RedisSettings(_Section):
    """How to reach Redis or Valkey, and how profiles lie there."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """redis:// or rediss:// with user, password, host, port, database."""
    profile_ttl_days: Annotated[float, Field(gt=0, le=3650)] = 90
    """A profile that nobody touches for so long is gone."""
    wait_for_disk: bool = True
    """Commit to Kafka only once the batch is on Redis's disk (WAITAOF). False where Redis has no AOF."""
    disk_timeout: Seconds = 5.0
    """Seconds to wait for the disk before trying again."""
    timeout: Seconds = 2.0
    """Seconds until one call counts as failed."""


class StreamSettings(_Section):
    """How a worker reads, and when it gives up."""

    group: str = "daogou"
    """Kafka consumer group of the workers."""
    batch: Annotated[int, Field(ge=1, le=10_000)] = 512
    """Most records of one batch."""
    commit_interval: Seconds = 1.0
    """Seconds between commits."""
    statistics_interval: Seconds = 1.0
    """Seconds between flushes of what all shoppers teach; more where a backlog makes them long."""
    retries: Count = 8
    """Attempts at a batch that fails for no known reason, before it is halved to find the record that breaks it."""
    stuck_after: Seconds = 60.0
    """Seconds without progress, though there is work, after which the process ends with a message."""
    session_timeout: Seconds = 10.0
    """Seconds after which Kafka gives a silent worker's partitions to the others."""
    event_limit: Count = 1_000_000
    """Bytes; larger events are dead-lettered."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of /metrics and /health; 0: none."""
    metrics_host: str = "127.0.0.1"
    """Address of /metrics and /health. They need no key: another than loopback only inside a network of your own."""


class EngineSettings(_Section):
    """What a slate is made of."""

    slate_size: Annotated[int, Field(ge=1, le=200)] = 10
    """Items of a slate."""
    considered: Annotated[int, Field(ge=10, le=20000)] = 400
    """Most candidates of all sources whose features are computed for one slate."""
    candidates: Annotated[int, Field(ge=10, le=5000)] = 100
    """Most candidates, the best of those by a weighted sum of their features, that the ranker scores."""
    per_source: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most candidates of one source."""
    seen_window: Annotated[int, Field(ge=0, le=100)] = 5
    """So many of the last viewed items are not shown again at once."""
    bought_days: Annotated[float, Field(ge=0, le=3650)] = 7
    """An item bought so lately is not shown; later it may be offered again."""
    click_value: Annotated[float, Field(ge=0)] = 1.0
    """Worth of a click in an item's score."""
    cart_value: Annotated[float, Field(ge=0)] = 2.0
    """Worth of a cart addition."""
    purchase_value: Annotated[float, Field(ge=0)] = 5.0
    """Worth of a purchase."""
    rating_value: Annotated[float, Field(ge=0)] = 0.0
    """Worth of the stars that the shopper would give, all five of them. Needs a bundle whose log had ratings."""
    return_visit_value: Annotated[float, Field(ge=0)] = 0.0
    """Worth of the shopper visiting again within a week. Needs a bundle whose log had times and was long enough."""
    category_penalty: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How much of its score an item loses for each one of its category above it."""
    brand_penalty: Annotated[float, Field(ge=0, le=1)] = 0.05
    """How much of its score an item loses for each one of its brand above it."""
    new_hours: Annotated[float, Field(ge=0, le=8760)] = 24
    """The last place of a slate, and of each `slate_size` of a longer one, is for the best item added so lately, if
    none stands there by itself. 0: for none."""
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    """How freely slots are drawn: 0 takes the best, more explores. The draw's probability is in the slate."""
    deadline: Seconds = 5.0
    """A slate later than so many seconds after its record was read is left out if a newer one of the same shopper is
    on its way; the event is folded all the same."""


class ModelSettings(_Section):
    """Which bundle scores, and where."""

    bundle: Path | None = None
    """Folder of the bundle; None: the demo's own."""
    cross_encoder: Path | None = None
    """Folder of a regressor's bundle (`daogou finetune --task rating`) that scores in the ranker's place."""
    provider: Provider = Provider.CPU
    """cpu or cuda; cuda is asserted."""
    precision: Precision = Precision.FP32
    """fp32, fp16 or int8, as the bundle has them; all workers alike, or the items' vectors are of two kinds."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of one forward."""


class ApiSettings(_Section):
    """The HTTP API (``daogou serve``)."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to listen on; 0: any free one."""
    keys: tuple[Annotated[str, Field(pattern=r"^(page|server|operator):[0-9a-f]{64}$")], ...] = ()
    """JSON list of ROLE:SHA256, as `daogou api-key` prints them. None, in development: made at start and printed."""
    visitor_secret: SecretStr = SecretStr("")
    """Signs visitors' tokens, at least 32 characters; all API processes alike. Empty, in development: made at start."""
    visitor_days: Annotated[float, Field(gt=0, le=365)] = 30
    """How long a visitor's token is good."""
    cors_origins: tuple[str, ...] = ()
    """JSON list of origins whose pages may call; none: only pages of this server."""
    rate: Annotated[float, Field(gt=0)] = 50
    """Requests a second that one visitor or address may make, on average."""
    burst: Count = 100
    """Requests that one visitor or address may make at once."""
    body_limit: Annotated[int, Field(ge=1024, le=100_000_000)] = 1_000_000
    """Bytes of a request's body."""
    head_limit: Annotated[int, Field(ge=1024, le=1_000_000)] = 65_536
    """Bytes of a request's address and headers."""
    request_seconds: Seconds = 15
    """How long a request may take to come in, head and body."""
    answer_seconds: Seconds = 8
    """How long a request waits for the log, profiles or the engine; then 503 with Retry-After."""
    connections: Count = 4_096
    """Open connections of one process, streams among them; one more is refused with 503."""
    waiting: Count = 256
    """Requests that may wait for one kind of work; more are refused with 503."""
    fresh_seconds: Seconds = 300
    """A slate of the stream so young is served as it is."""
    slates: Count = 100_000
    """Shoppers whose last slates are kept in memory."""
    streams: Count = 2_000
    """Open event streams."""
    click_rates: bool = True
    """Follow the clickstream and count clicks for the operator's view. False where its events are too many for that."""
    pages: bool = True
    """Serve the operator's view at /operator/ and a page to try the API at /docs/. Both ask for a key."""
    demo_shop: bool = False
    """Serve the demo's shop page at /shop and /operator with keys of their own (development only)."""


def _cache() -> Path:
    """Where the XDG base directory specification puts what can be fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "daogou"


class EmbeddedSettings(_Section):
    """The embedded Kafka and Valkey: for demo, development and tests only."""

    cache: Path = Field(default_factory=_cache)
    """Where Kafka's jars are kept once they were fetched and verified; by default the user's cache folder (XDG)."""
    jars: Path | None = None
    """A folder that has the jars already; nothing is fetched then."""
    heap_mb: Annotated[int, Field(ge=64, le=65536)] = 256
    """Most heap of the broker's JVM, MiB."""


class Settings(BaseSettings):
    """All settings. ``DAOGOU_KAFKA__BOOTSTRAP_SERVERS=broker:9092`` sets ``kafka.bootstrap_servers``."""

    model_config = SettingsConfigDict(
        env_prefix="DAOGOU_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    environment: Environment = Environment.DEVELOPMENT
    """development or production."""
    log_json: bool = False
    """One JSON object a line instead of words for people."""
    surfaces: Path | None = None
    """TOML file of the surfaces; None: the shipped ones (`daogou surfaces show`)."""
    kafka: KafkaSettings = KafkaSettings()
    """How to reach Kafka."""
    redis: RedisSettings = RedisSettings()
    """How to reach Redis."""
    stream: StreamSettings = StreamSettings()
    """How a worker reads."""
    engine: EngineSettings = EngineSettings()
    """What a slate is made of."""
    model: ModelSettings = ModelSettings()
    """Which bundle scores."""
    api: ApiSettings = ApiSettings()
    """The HTTP API."""
    embedded: EmbeddedSettings = Field(default_factory=EmbeddedSettings)
    """The embedded cluster."""

    @model_validator(mode="after")
    def _safe(self) -> "Settings":
        if self.environment is Environment.PRODUCTION:
            _refuse(self.kafka.security is Security.PLAINTEXT, "kafka.security", "SSL or SASL_SSL in production")
            _refuse(self.kafka.replication < 2, "kafka.replication", "at least 2 in production")
            _refuse(not self.redis.wait_for_disk, "redis.wait_for_disk", "true in production")
            _refuse(self.api.demo_shop, "api.demo_shop", "false in production")
        has_login = bool(self.kafka.username and self.kafka.password.get_secret_value())
        _refuse(self.kafka.security is Security.SASL_SSL and not has_login, "kafka.username",
                "set, with kafka.password, for SASL_SSL")  # fmt: skip
        return self


def _refuse(wrong: bool, name: str, must_be: str) -> None:
    if wrong:
        raise ValueError(f"{name} must be {must_be}")


def load_settings(**overrides: Any) -> Settings:
    """The settings from the environment, with ``overrides`` (nested dicts) before it.

    Raises:
        SettingsRefused: naming each setting that is wrong and what it may be.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsRefused("; ".join(_explain(e) for e in error.errors(include_url=False))) from error


def _explain(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    variable = "DAOGOU_" + "__".join(str(part) for part in error["loc"]).upper()
    return f"{name} ({variable}): {error['msg']}" if name else str(error["msg"])


def engine_digest(settings: EngineSettings) -> str:
    """16 hex digits that change when any engine setting does; part of each recommendation's id."""
    return sha256(settings.model_dump_json().encode()).hexdigest()[:16]
