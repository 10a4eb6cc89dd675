"""A shop that is just opened, for what measures its API and its page: cluster, worker, front end, catalogue."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

from contracts.messages import CatalogueItem
from contracts.settings import Settings, load_settings
from launch.catalogue_files import put_items
from launch.demo.fleet import Fleet
from launch.demo.front import Front
from launch.embedded.cluster import Cluster
from launch.shop.shop import Shop
from streams.admin import create_topics


class Premises(NamedTuple):
    """A worker that starts, and a front end that is not started yet."""

    front: Front
    fleet: Fleet
    settings: Settings

    @property
    def url(self) -> str:
        """Of the API, without a slash at its end."""
        return self.front.shop.removesuffix("/shop/")

    @property
    def key(self) -> str:
        """An operator's."""
        return self.front.operator.rpartition("#")[2]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Sequence[CatalogueItem]]:
        """The front end answers beside a worker that is ready; its catalogue."""
        items = Shop.make(0).items
        await put_items(self.settings.kafka, items)
        await self.fleet.ready()
        with self.front:
            yield items


@contextmanager
def premises(port: int) -> Iterator[Premises]:
    """All that a shop stands on; gone afterwards."""
    base = load_settings()
    with Cluster.start(None, base.embedded, print) as cluster:
        settings = load_settings(**cluster.overrides())
        create_topics(settings.kafka)
        with Fleet(1, cluster.bootstrap_servers, cluster.redis_url, cluster.folder) as fleet:
            yield Premises(Front(port, cluster.bootstrap_servers, cluster.redis_url, cluster.folder), fleet, settings)
