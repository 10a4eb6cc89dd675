"""From a click in the browser to the new slate on the page, measured in the page, with everything on this machine.

    python -m benchmarks.page           writes docs/benchmarks/page.json (about three minutes; needs Chromium)

A Kafka, a Valkey, a worker with the demo's bundle, `daogou serve --shop`, others who view 20 items a second, and a
headless Chromium in which visitors click in turn. The page counts from the click's handler until the frame after
the new slate is drawn: the event has gone to the API and to Kafka, was folded, answered, and came back by the stream.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import numpy as np
from playwright.async_api import Page, async_playwright

from benchmarks.opened import Premises, premises
from benchmarks.report import save
from benchmarks.views import viewed

VISITORS, CLICKS, WARM_CLICKS = 4, 75, 5  # clicks of each visitor
OTHERS_PER_SECOND = 20.0
THINKING_SECONDS = 0.2  # on average
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
PATIENCE_MS = 30_000

CLEAR = "node => { node.dataset.milliseconds = '' }"
DRAWN = "old => document.querySelector('#slate .grid').dataset.slate !== old"
TOLD = "() => document.querySelector('#click-to-slate').dataset.milliseconds !== ''"


@asynccontextmanager
async def visitors(shop: str) -> AsyncIterator[list[Page]]:
    """Pages of visitors who do not know each other."""
    async with async_playwright() as player:
        browser = await player.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        pages = []
        for _ in range(VISITORS):
            context = await browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
            page = await context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            await page.goto(shop)
            await page.wait_for_selector("body[data-ready]")
            await page.wait_for_selector("#slate .card, #found .card")
            pages.append(page)
        yield pages
        await browser.close()


async def click(page: Page, place: int) -> int:
    """Click a card of the slate, or of the shelf while there is none. Returns what the page measured."""
    before = await page.get_attribute("#slate .grid", "data-slate")
    await page.eval_on_selector("#click-to-slate", CLEAR)
    cards = page.locator("#slate .card" if before else "#found .card")
    await cards.nth(place % await cards.count()).click()
    await page.wait_for_function(DRAWN, arg=before)
    await page.wait_for_function(TOLD)
    return int(await page.get_attribute("#click-to-slate", "data-milliseconds") or -1)


async def clicks(pages: list[Page]) -> list[int]:
    """All visitors in turn, each at one of the first cards, with a moment to think between."""
    rng, took = np.random.default_rng(0), list[int]()
    for number in range(WARM_CLICKS + CLICKS):
        for page in pages:
            milliseconds = await click(page, int(rng.integers(6)))
            took += [milliseconds] if number >= WARM_CLICKS else []
            await asyncio.sleep(float(rng.exponential(THINKING_SECONDS)))
    return took


async def others(url: str, key: str, items: list[str]) -> None:
    """Shoppers who view items at a steady rate, until cancelled."""
    rng = np.random.default_rng(1)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        for number in count():
            event = viewed(f"other-{number % 200}", items[int(rng.integers(len(items)))])
            (await client.post("/v1/events", json=event)).raise_for_status()
            await asyncio.sleep(float(rng.exponential(1 / OTHERS_PER_SECOND)))


async def run(shop: Premises) -> dict[str, Any]:
    """A shop that is just opened."""
    async with shop.open() as items:
        beside = asyncio.create_task(others(shop.url, shop.key, [item.item_id for item in items]))
        async with visitors(shop.front.shop) as pages:
            took = await clicks(pages)
        if beside.done():
            beside.result()
        beside.cancel()
    p50, p90, p99 = np.percentile(took, [50, 90, 99]).round(1).tolist()
    return {
        "visitors": VISITORS, "clicks": len(took), "others_per_s": OTHERS_PER_SECOND,
        "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "most_ms": max(took),
    }  # fmt: skip


def main() -> None:
    if shutil.which("chromium") is None:
        raise SystemExit("no Chromium here: `apt-get install chromium` brings it")
    with premises(8138) as shop:
        found = asyncio.run(run(shop))
    print(found)
    print(save("page", found))


if __name__ == "__main__":
    main()
