"""A visitor in a real browser: three clicks of one kind change the page by themselves; all of it can be forgotten."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from contracts.settings import Settings
from launch.shop.shop import Shop
from launch.wiring import find_bundle
from tests.e2e.operator_page import the_operator, trying
from tests.serving import Served, serving

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
CLICKS = 10
UNSEEN = "#found .card[data-category^=Toys]:not(.seen)"
TOYS = "most => document.querySelectorAll('#slate .card[data-category^=Toys]').length > most"


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as player:
        running = await player.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        yield running
        await running.close()


@asynccontextmanager
async def open_page(served: Served) -> AsyncIterator[Page]:
    """A page, and that nothing on it is refused or goes elsewhere."""
    wrong: list[str] = []
    async with browser() as running:
        page = await running.new_page(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        page.on("console", lambda message: wrong.append(message.text) if fault(message) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if ours(served, request.url) else wrong.append(request.url))
        yield page
        assert wrong == []


def fault(message: ConsoleMessage) -> bool:
    """An error that the page did not ask for: a rule that is refused is one of those that it shows."""
    return message.type == "error" and not (
        message.location["url"].endswith("/v1/rules/dry-run") and "422" in message.text
    )


def ours(served: Served, url: str) -> bool:
    return url.startswith((served.url, "data:image/", "blob:"))


@asynccontextmanager
async def open_shop(served: Served) -> AsyncIterator[Page]:
    async with open_page(served) as page:
        await page.goto(f"{served.url}/shop/")
        await page.wait_for_selector("body[data-ready]")
        yield page


@pytest.fixture
def open_for_visitors(shop: Settings) -> Settings:
    return shop.model_copy(update={"api": shop.api.model_copy(update={"demo_shop": True})})


async def click(page: Page, card: str) -> int:
    """Click a card and wait for the slate that answers it. Returns the milliseconds that the page measured."""
    before = await page.get_attribute("#slate .grid", "data-slate")
    await page.eval_on_selector("#click-to-slate", "node => { node.dataset.milliseconds = '' }")
    await page.locator(card).first.click()
    await page.wait_for_function("old => document.querySelector('#slate .grid').dataset.slate !== old", arg=before)
    await page.wait_for_function("() => document.querySelector('#click-to-slate').dataset.milliseconds !== ''")
    return int(await page.get_attribute("#click-to-slate", "data-milliseconds") or -1)


async def shelves(page: Page) -> list[str]:
    cards = await page.locator("#slate .card").all()
    return [(await card.get_attribute("data-category") or "").partition(" > ")[0] for card in cards]


async def test_a_visit(open_for_visitors: Settings, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("PICTURES", tmp_path))  # `make pictures` takes those of the docs
    items = Shop.make(0).items
    async with serving(open_for_visitors, items, find_bundle(open_for_visitors.model)) as served:
        async with open_shop(served) as page:
            await page.get_by_role("button", name="Toys").click()
            await page.wait_for_selector("#found .card[data-category^=Toys]")
            before = (await shelves(page)).count("Toys")
            await page.fill("#q", "soft toys")  # nobody clicked yet: what is popular is in any order, what is found not
            await page.press("#q", "Enter")
            await page.wait_for_function("() => document.querySelector('#found-title').textContent.includes('soft')")
            for _ in range(3):
                await click(page, UNSEEN)
                await page.eval_on_selector(UNSEEN, "node => node.classList.add('seen')")
            await page.wait_for_function(TOYS, arg=max(before, 4))  # a click is two events, and each has its slate
            assert "ms from your click" in await page.inner_text("#click-to-slate")
            assert await page.locator("#stages .stage").count() >= 7
            await page.wait_for_function("() => document.querySelectorAll('#history li').length >= 6")
            await page.screenshot(path=pictures / "shop.png")
            took = [await click(page, f"#slate .card:nth-child({n % 3 + 1})") for n in range(CLICKS)]
            assert median(took) < 1000, took  # benchmarks measure; this only knows that it works
            await page.get_by_role("button", name="Forget all of it").click()
            await page.wait_for_function("() => document.querySelectorAll('#history li').length === 0")
            await on_a_phone_by_keyboard(page)
        async with open_page(served) as page:
            await the_operator(page, served, pictures)
            await trying(page, served, pictures)


async def on_a_phone_by_keyboard(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.emulate_media(color_scheme="dark")
    wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    await page.locator("#slate .card").first.focus()
    before = await page.get_attribute("#slate .grid", "data-slate")
    await page.keyboard.press("Enter")
    await page.wait_for_function("old => document.querySelector('#slate .grid').dataset.slate !== old", arg=before)
    assert await page.evaluate("document.activeElement !== document.body")
