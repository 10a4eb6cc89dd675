"""The composition root: settings in, everything built and connected, nothing started."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from contracts.bundle import MANIFEST, Bundle, open_bundle
from contracts.metrics import Metrics
from contracts.settings import ModelSettings, Settings
from contracts.surface_file import load_surfaces
from contracts.topics import CATALOGUE, CLICKSTREAM
from inference.engine import Engine
from launch.one_thread import one_thread
from streams.admin import topic_epoch
from streams.app import build_app
from streams.backfill import Backfill
from streams.burying import Burying
from streams.catalogue import CatalogueAgent
from streams.disk import DiskWaiter
from streams.engine_room import EngineRoom
from streams.epochs import Epochs
from streams.follower import Follower
from streams.lagging import LagWatch
from streams.names import physical
from streams.producer import Producer
from streams.progress import Progress
from streams.recommend import Parts, Recommender
from streams.rules import RuleFollower
from streams.shared import SharedStatistics
from streams.store import ProfileStore, StatisticsStore, open_statistics, open_store
from streams.worker import Machinery, Worker

DEMO_BUNDLE = Path(__file__).with_name("demo_bundle")


def find_bundle(settings: ModelSettings) -> Bundle | None:
    """The bundle that the settings name, or the demo's own; None where there is neither. Raises: BundleRefused."""
    if settings.bundle is not None:
        return open_bundle(settings.bundle)
    return open_bundle(DEMO_BUNDLE) if (DEMO_BUNDLE / MANIFEST).exists() else None


def build_engine(settings: Settings, metrics: Metrics) -> Engine:
    """The engine with its bundle, warm, and its surfaces; NumPy on one thread. Raises: Refused."""
    one_thread()
    surfaces = load_surfaces(settings.surfaces)
    return Engine(find_bundle(settings.model), settings.engine, settings.model, metrics, surfaces)


def build_worker(
    settings: Settings,
    metrics: Metrics,
    store: ProfileStore | None = None,
    statistics: StatisticsStore | None = None,
    engine: Engine | None = None,
) -> Worker:
    """A worker, not started. What is given is used instead of what the settings say."""
    room = EngineRoom(engine or build_engine(settings, metrics))
    profiles, counts = store or open_store(settings), statistics or open_statistics(settings)
    progress = Progress()
    producer = Producer(settings.kafka, progress.waits)
    burying = Burying(settings, producer, metrics)
    shared = SharedStatistics(counts, room, settings.stream.statistics_interval, progress)
    disk = DiskWaiter(profiles, metrics, progress)
    epochs = Epochs(partial(topic_epoch, settings.kafka))
    parts = Parts(settings, room, profiles, shared, producer, burying, disk, metrics, progress, epochs.of)
    agent = CatalogueAgent(settings, room, producer, burying, metrics, progress)
    app = build_app(settings, Recommender(parts), agent, progress)
    backfill = Backfill(room, agent, _owned(app, physical(settings.kafka, CATALOGUE)))
    follower = Follower(settings, room, metrics, progress, backfill.run)
    lag = LagWatch(physical(settings.kafka, CLICKSTREAM), lambda: app.consumer, follower, metrics, progress)
    rules = RuleFollower(settings.kafka, room, metrics, progress)
    return Worker(
        Machinery(settings, producer, profiles, counts, room, shared, follower, rules, disk, lag, progress, app)
    )


def _owned(app: Any, topic: str) -> Callable[[], frozenset[int]]:
    def owned() -> frozenset[int]:
        return frozenset(tp.partition for tp in app.consumer.assignment() if tp.topic == topic)

    return owned
