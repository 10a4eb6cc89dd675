"""The demo from beginning to end: cluster, catalogue, workers, the shoppers' past, live traffic, verify, report."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from threading import Event
from time import monotonic, time
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer

from contracts.bundle import Bundle
from contracts.codec import encode_json
from contracts.errors import EnvironmentRefused
from contracts.events import AnyEvent
from contracts.profile import DAY_MS
from contracts.settings import Settings, load_settings
from contracts.topics import CLICKSTREAM, EMBEDDINGS, RECOMMENDATIONS
from launch.catalogue_files import put_items
from launch.demo.figures import Figures
from launch.demo.fleet import Fleet
from launch.demo.front import Front
from launch.demo.plan import Plan, arrivals
from launch.demo.report import Report, make_report
from launch.demo.screen import Screen
from launch.demo.story import Story
from launch.demo.traffic import Homes, Traffic
from launch.embedded.cluster import NOTICE, Cluster
from launch.publish import CHUNK
from launch.shop.bestsellers import Bestsellers
from launch.shop.history import make_shoppers, past
from launch.shop.shop import Shop
from launch.shop.shoppers import Shopper
from launch.topic_reader import consumer_of, partitions_of, stand_at_end
from launch.wiring import find_bundle
from streams.admin import create_topics, lag
from streams.names import partition_of, physical
from streams.producer import Outgoing, Producer
from streams.store import open_store
from streams.verify import verify, wait_until_read

SHOP_SEED = 0  # the shop whose catalogue and history the demo's bundle was trained on
PAST_DAYS = 4.0
OPENED_DAYS = 30
CATCH_UP_SECONDS = 120.0
REFRESH_SECONDS = 0.25


class Stage(NamedTuple):
    """The shop, its shoppers, and what is known of them."""

    shop: Shop
    crowd: tuple[Shopper, ...]
    bestsellers: Bestsellers
    homes: Homes
    figures: Figures
    story: Story


class Past(NamedTuple):
    """What was there before the live part: records in the log, events of these shoppers, seconds to the first slate."""

    records: int
    events: int
    first_slate: float


def run_demo(plan: Plan, screen: Screen, show: Callable[[Report], None] = lambda _: None) -> Report:
    """Run it, ``show`` the report, and keep the shop page open if the plan says so, until Ctrl-C.

    Everything that was started is stopped at the end, however it ends.

    Raises:
        EnvironmentRefused, Unavailable: something did not start or ended too soon.
    """
    base = load_settings()
    screen.say(NOTICE)
    with Cluster.start(plan.folder, base.embedded, screen.say) as cluster:
        settings = load_settings(**cluster.overrides())
        create_topics(settings.kafka)
        with Fleet(plan.workers, cluster.bootstrap_servers, cluster.redis_url, cluster.folder) as fleet:
            screen.say(f"starting {plan.workers} worker{'s' * (plan.workers > 1)}")
            report = asyncio.run(_perform(plan, settings, fleet, screen))
            show(report)
            if plan.port is not None:
                with Front(plan.port, cluster.bootstrap_servers, cluster.redis_url, cluster.folder) as front:
                    _stay(front, screen)
            screen.say("stopping")
    return report


def _stay(front: Front, screen: Screen) -> None:
    """Keep everything running until Ctrl-C."""
    screen.say(f"the shop is open; every click changes it: {front.shop}")
    screen.say(f"the operator's view: {front.operator}")
    screen.say("Ctrl-C ends it")
    with suppress(KeyboardInterrupt):
        Event().wait()


async def _perform(plan: Plan, settings: Settings, fleet: Fleet, screen: Screen) -> Report:
    bundle = find_bundle(settings.model)
    stage, before = set_stage(plan, int(time() * 1000)), _log_end(settings)
    memories = past(stage.shop, stage.crowd, plan.seed, PAST_DAYS, int(time() * 1000 - PAST_DAYS * DAY_MS))
    async with consumer_of(settings.kafka) as consumer:
        await stand_at_end(consumer, settings.kafka, RECOMMENDATIONS)
        count = await put_items(settings.kafka, stage.shop.items)
        screen.say(f"{count:,} items are in the catalogue")
        await fleet.ready()
        await _embedded(settings, bundle, count, fleet)
        screen.say("the workers are ready")
        traffic = Traffic(settings, stage.crowd, stage.homes, stage.bestsellers, stage.figures)
        async with _listening(traffic, consumer):
            remembered = await _remember(settings, memories, stage.bestsellers)
            await _until(traffic.has_slates, fleet, "there is no slate")
            known = Past(before, remembered, screen.elapsed)
            screen.say(f"first slates; the shoppers' last {PAST_DAYS:.0f} days are {remembered:,} events")
            await _caught_up(settings, fleet)
            await _play(plan, stage, traffic, fleet, screen)
            await _caught_up(settings, fleet)
    return await _judge(plan, settings, stage, known, bundle, screen)


def set_stage(plan: Plan, now_ms: int) -> Stage:
    """The shop and its shoppers. Event ids are those of this run alone."""
    shop = Shop.make(SHOP_SEED, now_ms - OPENED_DAYS * DAY_MS)
    crowd = make_shoppers(shop, plan.seed, plan.shoppers, f"{now_ms:x}-")
    bestsellers, figures = Bestsellers(shop), Figures()
    homes = Homes(crowd, bestsellers, figures)
    return Stage(shop, crowd, bestsellers, homes, figures, Story(shop, homes))


@asynccontextmanager
async def _listening(traffic: Traffic, consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
    reader = asyncio.create_task(traffic.listen(consumer), name="slates")
    try:
        yield
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader


async def _embedded(settings: Settings, bundle: Bundle | None, items: int, fleet: Fleet) -> None:
    """Wait until every item has its vector. Without a bundle none gets one."""
    async with consumer_of(settings.kafka) as consumer:
        partitions = await partitions_of(consumer, settings.kafka, EMBEDDINGS)

        async def all_there() -> bool:
            return bundle is None or sum((await consumer.end_offsets(partitions)).values()) >= items

        await _until(all_there, fleet, "the items are not embedded")


async def _until(done: Callable[[], Awaitable[bool]], fleet: Fleet, otherwise: str) -> None:
    """Look again and again. Raises: EnvironmentRefused if a worker ends, or after ``CATCH_UP_SECONDS``."""
    deadline = monotonic() + CATCH_UP_SECONDS
    while not await done():
        fleet.check()
        if monotonic() > deadline:
            raise EnvironmentRefused(f"{otherwise} after {CATCH_UP_SECONDS:.0f} s")
        await asyncio.sleep(REFRESH_SECONDS)


async def _remember(settings: Settings, events: Iterator[AnyEvent], bestsellers: Bestsellers) -> int:
    """Publish what the shoppers did before the demo. The bestsellers know it too."""
    topic, count, producer = physical(settings.kafka, CLICKSTREAM), 0, Producer(settings.kafka)
    await producer.start()
    try:
        while chunk := list(islice(events, CHUNK)):
            await producer.send([_record(settings, topic, event) for event in chunk])
            for event in chunk:
                bestsellers.learn(event)
            count += len(chunk)
    finally:
        await producer.stop()
    return count


def _record(settings: Settings, topic: str, event: AnyEvent) -> Outgoing:
    key = event.user_id.encode()
    return Outgoing(topic, key, encode_json(event), partition_of(key, settings.kafka.partitions))


async def _caught_up(settings: Settings, fleet: Fleet) -> None:
    async def read() -> bool:
        return not await wait_until_read(settings, REFRESH_SECONDS)

    await _until(read, fleet, "the workers are still behind")


async def _play(plan: Plan, stage: Stage, traffic: Traffic, fleet: Fleet, screen: Screen) -> None:
    """The live part."""
    screen.say(f"{plan.shoppers} shoppers, {plan.rate:g} events/s for {plan.seconds:g} s")
    live = asyncio.create_task(traffic.run(arrivals(plan), stage.story.witness), name="traffic")
    with screen.live(stage.figures, stage.story) as performance:
        while not live.done():
            fleet.check()
            performance.refresh()
            await asyncio.wait({live}, timeout=REFRESH_SECONDS)
    await live


async def _judge(
    plan: Plan, settings: Settings, stage: Stage, known: Past, bundle: Bundle | None, screen: Screen
) -> Report:
    """Compare everything with the log."""
    screen.say("verifying: folding the log afresh")
    store = open_store(settings)
    try:
        found = await verify(settings, store)
    finally:
        await store.close()
    in_log = await asyncio.to_thread(_log_end, settings) - known.records
    return make_report(
        plan,
        stage.figures,
        bundle=bundle.digest if bundle else None,
        first_slate=known.first_slate,
        past_events=known.events,
        lost=found.lost + found.slates_lost,
        unaccounted=abs(in_log - known.events - stage.figures.events) + found.lag,
        dead_lettered=found.dead_lettered,
        verify_clean=found.clean,
    )


def _log_end(settings: Settings) -> int:
    """Records ever written to the clickstream."""
    return sum(partition.latest for partition in lag(settings.kafka, settings.stream.group))


def write_report(report: Report, path: Path) -> None:
    """The report as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
