"""What a shopper notices, with the bundle that ships: a click changes the slate, a new item turns up and goes."""

import time

from msgspec.structs import replace

from contracts.bundle import open_bundle
from contracts.events import Click, Search, View
from contracts.messages import CatalogueItem, Slate
from contracts.settings import Settings
from launch.shop.shop import Shop
from launch.wiring import DEMO_BUNDLE
from tests.e2e.conftest import live, now_ms

SHOP = Shop.make(0)


def share(slate: Slate, items: dict[str, CatalogueItem], department: str) -> float:
    """How much of the slate is of a department."""
    return sum(items[i.item_id].category[0] == department for i in slate.items) / len(slate.items)


async def test_a_click_changes_the_slate(shop: Settings) -> None:
    items = {item.item_id: item for item in SHOP.items}
    department = SHOP.items[-1].category[0]
    some = [item.item_id for item in SHOP.items if item.category[0] == department][:40:12]
    bundle = open_bundle(DEMO_BUNDLE)
    async with live(shop, bundle) as shopper:
        await shopper.put(*SHOP.items)
        await shopper.embedded(len(items))
        before = await shopper.do(Search, "ann", query="something nice")
        for item in some:
            after = await shopper.do(Click, "ann", item_id=item)
        assert before.degraded is None
        assert len(before.items) == shop.engine.slate_size
        assert after.bundle == bundle.digest
        assert share(after, items, department) > share(before, items, department) + 0.2
        assert not {i.item_id for i in after.items} & set(some)
        assert all(i.reason and i.source for i in after.items)


async def test_a_new_item_turns_up_and_goes(shop: Settings) -> None:
    known = [item for item in SHOP.items if item.category == SHOP.items[0].category]
    new = replace(
        known[0], item_id="brand-new", group=None, added_ms=now_ms(), stock=5,
        title=f"{known[0].title} Second Edition", description=known[0].description,
    )  # fmt: skip
    bundle = open_bundle(DEMO_BUNDLE)
    async with live(shop, bundle) as shopper:
        await shopper.put(*SHOP.items)
        await shopper.embedded(len(SHOP.items))
        for item in known[:3]:
            await shopper.do(View, "bob", item_id=item.item_id)
        sent = time.monotonic()
        await shopper.put(new)
        while not _has(await shopper.do(View, "bob", item_id=known[0].item_id), "brand-new"):
            assert time.monotonic() - sent < 2.0, "a new item took more than 2 s to reach a fitting slate"
        sent = time.monotonic()
        await shopper.put(replace(new, stock=0))
        while _has(await shopper.do(View, "bob", item_id=known[0].item_id), "brand-new"):
            assert time.monotonic() - sent < 2.0, "an item out of stock was shown for more than 2 s"
        for item in known[:10]:
            assert not _has(await shopper.do(View, "bob", item_id=item.item_id), "brand-new")


def _has(slate: Slate, item_id: str) -> bool:
    return any(item.item_id == item_id for item in slate.items)
