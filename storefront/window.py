"""The shop window's parts and what is asked of them: profiles, the log, slates; each in batches."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from contracts.api import RecommendationsQuery
from contracts.events import ItemId, RecommendationId, UserId
from contracts.messages import CatalogueItem, Slate
from contracts.metrics import Metrics
from contracts.profile import Profile
from contracts.settings import Settings
from inference.ask import Ask
from storefront.access import Access, Keyring
from storefront.asked import Asked
from storefront.batcher import Batcher
from storefront.board import Board
from storefront.clickstream import Clickstream
from storefront.encoded import Encoded
from storefront.hub import Hub
from storefront.ledger import Ledger
from storefront.letters import LastLetters
from storefront.limits import Limits
from storefront.past import Reader
from storefront.recent import Recent
from streams.engine_room import EngineRoom
from streams.follower import Follower
from streams.names import partition_of
from streams.producer import Outgoing, Producer, Sent
from streams.progress import Progress
from streams.rules import RuleFollower
from streams.shared import SharedStatistics
from streams.store import ProfileKey, ProfileStore, StatisticsStore

PROFILES_AT_ONCE, SLATES_AT_ONCE, SENDS_AT_ONCE = 256, 32, 256


class Parts(NamedTuple):
    """What the window works with; put together in ``launch/shopfront.py``."""

    settings: Settings
    engine: EngineRoom
    store: ProfileStore
    counts: StatisticsStore
    shared: SharedStatistics
    follower: Follower
    rules: RuleFollower
    producer: Producer
    hub: Hub
    access: Access
    metrics: Metrics
    progress: Progress
    fresh: Keyring | None = None


class Window:
    """Everything that a request may ask. ``start`` before the first one, ``stop`` after the last."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.settings, self.hub = parts, parts.settings, parts.hub
        api = parts.settings.api
        self.limits = Limits(api.rate, api.burst)
        waits = api.waiting, api.answer_seconds
        self._profiles = Batcher("profiles", parts.store.load, PROFILES_AT_ONCE, *waits)
        self._slates = Batcher("slates", parts.engine.recommend, SLATES_AT_ONCE, *waits)
        self._sends = Batcher("the log", self._send_all, SENDS_AT_ONCE, *waits)
        ledger = Ledger(parts.hub.by_id) if api.click_rates else None
        self._clicks = Clickstream(parts.settings, ledger, parts.progress) if ledger is not None else None
        self.board = Board(parts.settings, parts.store, parts.hub, parts.engine, ledger)
        self.asked = Asked()
        self.hub.on_forget(self.asked.forget)
        self.rehearsing = asyncio.Lock()
        self.letters, self.past = LastLetters(parts.settings.kafka), Reader(parts.settings.kafka)
        self.queries: Recent[RecommendationId, RecommendationsQuery] = Recent(api.slates)
        self.encoded = Encoded(parts.engine.item)
        self._board: asyncio.Task[None] | None = None
        self.ready = False

    async def start(self) -> None:
        """Connect, read the catalogue, the statistics and the fresh slates. Raises: Unavailable, Refused."""
        p = self.parts
        await p.store.check()
        await p.producer.start()
        await p.follower.start()
        await p.rules.start()
        await p.shared.start()
        await p.hub.start()
        if self._clicks is not None:
            self._clicks.start()
        self._board = p.progress.watch(self.board.run(), "board")
        self.ready = True

    async def stop(self) -> None:
        """Let everything go, in the opposite order."""
        p, self.ready = self.parts, False
        if self._board is not None:
            self._board.cancel()
            await asyncio.wait({self._board})
        await self.past.close()
        await self.letters.close()
        if self._clicks is not None:
            await self._clicks.stop()
        await p.hub.stop()
        await p.shared.stop()
        await p.rules.stop()
        await p.follower.stop()
        await p.producer.stop()
        await p.store.close()
        await p.counts.close()
        p.engine.close()

    def partition(self, user: UserId) -> int:
        """Where a shopper's events are."""
        return partition_of(user.encode(), self.settings.kafka.partitions)

    async def profile(self, user: UserId) -> Profile | None:
        """A shopper's profile as it is now. Raises: StoreUnavailable, Overloaded."""
        return await self._profiles.ask(ProfileKey(self.partition(user), user))

    async def profiles(self, users: Sequence[UserId]) -> list[Profile | None]:
        """Many shoppers' profiles as they are now. Raises: StoreUnavailable."""
        keys = [ProfileKey(self.partition(user), user) for user in users]
        found: list[Profile | None] = []
        for start in range(0, len(keys), PROFILES_AT_ONCE):
            found += await self.parts.store.load(keys[start : start + PROFILES_AT_ONCE])
        return found

    async def slate(self, ask: Ask) -> Slate:
        """A slate computed now; its receipt is kept. Raises: Overloaded."""
        slate = await self._slates.ask(ask)
        self.hub.note(slate)
        self.asked.note(ask)
        return slate

    async def send(self, records: Sequence[Outgoing]) -> list[Sent]:
        """Into the log; returns once Kafka has all of them. Raises: BrokerUnavailable, Oversize, Overloaded."""
        return await self._sends.ask(records)

    def item(self, item_id: ItemId) -> CatalogueItem | None:
        """An item as the catalogue has it now."""
        return self.parts.engine.item(item_id)

    async def _send_all(self, lists: Sequence[Sequence[Outgoing]]) -> list[list[Sent]]:
        sent = iter(await self.parts.producer.send([record for records in lists for record in records]))
        return [[next(sent) for _ in records] for records in lists]
