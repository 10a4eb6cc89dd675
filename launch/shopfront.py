"""The composition root of the HTTP API. Apart from the workers' own, which need nothing of it."""

from contracts.metrics import Metrics
from contracts.settings import Environment, Settings
from inference.engine import Engine
from launch.wiring import build_engine
from storefront.access import Access, Keyring
from storefront.hub import Hub
from storefront.window import Parts, Window
from streams.engine_room import EngineRoom
from streams.follower import Follower
from streams.producer import Producer
from streams.progress import Progress
from streams.rules import RuleFollower
from streams.shared import SharedStatistics
from streams.store import open_statistics, open_store


def build_window(settings: Settings, metrics: Metrics | None = None, engine: Engine | None = None) -> Window:
    """The shop window, not started. In development without keys it has fresh ones."""
    found, progress = metrics or Metrics(), Progress()
    development = settings.environment is Environment.DEVELOPMENT and not settings.api.keys
    fresh = Keyring.fresh() if development else None
    access = Access(settings.api, settings.environment, fresh)
    room = EngineRoom(engine or build_engine(settings, found))
    profiles, counts = open_store(settings), open_statistics(settings)
    shared = SharedStatistics(counts, room, settings.stream.statistics_interval, progress)
    follower = Follower(settings, room, found, progress)
    rules = RuleFollower(settings.kafka, room, found, progress)
    producer, hub = Producer(settings.kafka, progress.waits), Hub(settings, progress)
    return Window(
        Parts(settings, room, profiles, counts, shared, follower, rules, producer, hub, access, found, progress, fresh)
    )
