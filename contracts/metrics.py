"""Every metric: its name, its labels, its meaning, once. Base units; never a user or an item as a label."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 2.5, 5.0, 10.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """The metrics of one process, on a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.events = self._counter("daogou_events_total", "Records read, by what became of them.", ["outcome"])
        self.dead_letters = self._counter("daogou_dead_letters_total", "Dead letters by reason.", ["reason"])
        self.slates = self._counter("daogou_slates_total", "Slates published.", ["surface"])
        self.degraded = self._counter("daogou_slates_degraded_total", "Slates not at their best, by cause.", ["cause"])
        self.late = self._counter("daogou_slates_late_total", "Slates dropped because they were late.")
        self.retries = self._counter(
            "daogou_batch_retries_total", "Batches tried again, by the error's name.", ["error"]
        )
        self.non_finite = self._counter("daogou_scores_non_finite_total", "Scores that were NaN or infinite.")
        self.freshness = self._histogram("daogou_freshness_seconds", "From the event's time to its slate.", LATENCY)
        self.batch_seconds = self._histogram("daogou_batch_seconds", "One batch, read to acked.", LATENCY)
        self.stage_seconds = self._histogram("daogou_stage_seconds", "One stage of a batch.", LATENCY, ["stage"])
        self.batch_records = self._histogram("daogou_batch_records", "Records of a batch.", SIZES)
        self.disk_wait = self._histogram("daogou_disk_wait_seconds", "Waiting for the store's disk.", LATENCY)
        self.items = self._gauge("daogou_catalogue_items", "Items in the catalogue.")
        self.embedded = self._gauge("daogou_catalogue_embedded", "Items that can be scored.")
        self.rules = self._gauge("daogou_rules", "The merchandiser's rules by their state.", ["state"])
        self.lag = self._gauge("daogou_lag_records", "Records not yet applied.", ["partition"])
        self.requests = self._counter("daogou_requests_total", "HTTP requests.", ["route", "status"])
        self.request_seconds = self._histogram("daogou_request_seconds", "One HTTP request.", LATENCY, ["route"])
        self.streams = self._gauge("daogou_streams_open", "Open event streams.")
        self.provider = self._gauge("daogou_provider_info", "1 for the provider that really runs.", ["provider"])

    def _counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)
