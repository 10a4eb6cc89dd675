"""The operator's page and the page to try the API, as a person on call uses them."""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

from contracts.topics import CLICKSTREAM
from streams.names import physical
from streams.producer import Outgoing
from tests.serving import Served, view

HOSTILE = "<img src=x onerror=alert(1)>"


async def a_morning(served: Served) -> None:
    """What there is to see: two arms, a letter, somebody with a name that is no markup."""
    events: list[dict[str, Any]] = []
    for n in range(40):
        receipt = f"{n:032x}" if n < 25 else f"control-{n}"
        shown = view(f"s{n}", "p0001", type="impression", recommendation_id=receipt)
        shown["items"] = [shown.pop("item_id")]
        clicked = view(f"s{n}", "p0001", type="click", recommendation_id=receipt)
        events += [shown, clicked] if n % 2 else [shown]
    assert (await served.server.post("/v1/events", json=[*events, view(HOSTILE, "p0000")])).status_code == 202
    topic = physical(served.window.settings.kafka, CLICKSTREAM)
    await served.window.send([Outgoing(topic, b"broken", f"{HOSTILE} is no event".encode())])


async def the_operator(page: Page, served: Served, pictures: Path) -> None:
    """Every panel of the page, by mouse and keyboard, in light and dark, wide and on a phone."""
    fresh = served.window.parts.fresh
    assert fresh is not None
    await a_morning(served)
    await page.goto(f"{served.url}/operator/#{fresh.operator}")
    await page.wait_for_selector("body[data-ready]")
    await page.wait_for_function("() => document.querySelectorAll('#partitions tbody tr').length === 3")
    assert await page.inner_text("#state") == "all parts answer"
    await page.wait_for_function("() => document.querySelector('#arms').textContent.includes('15 shoppers')")
    assert await page.locator("#arms svg circle").count() == 2
    assert "Too little data" in await page.inner_text("#verdict")
    assert "times (95%" in await page.inner_text("#ratio")
    assert await page.locator("#charts canvas").count() == 6
    await a_letter(page)
    await a_rule(page)
    await look(page, "", "p0000", "Petra Lune")
    await look(page, "s1", "p0000", "For s1")
    await look(page, "never seen", "", "Nothing is known of this shopper")
    await look(page, HOSTILE, "", "Their events are in partition")
    assert await page.locator("#looked img, #letters img, #letter img").count() == 0
    await page.screenshot(path=pictures / "operator.png", full_page=True)
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.wait_for_function("() => document.querySelectorAll('#charts canvas').length === 6")
    wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0


async def a_letter(page: Page) -> None:
    """Found by its reason, opened and sent back by keyboard; it comes again, tried twice."""
    await page.wait_for_selector("#reasons [data-reason=not_json]")
    await page.locator("#reasons [data-reason=not_json]").press("Enter")
    await page.wait_for_selector("#reasons [data-reason=not_json][aria-pressed=true]")
    await page.locator("#letters button").first.press("Enter")
    await page.wait_for_function(f"() => document.querySelector('#letter pre')?.textContent.startsWith('{HOSTILE}')")
    assert await page.evaluate("document.activeElement.id") == "redrive"
    await page.keyboard.press("Enter")
    await page.wait_for_function("() => document.querySelector('#redriven')?.textContent.startsWith('Sent 1 back')")
    await page.wait_for_function("() => document.querySelector('#letters tbody td:nth-child(4)')?.textContent === '2'")


async def a_rule(page: Page) -> None:
    """Refused with its place, tried on the last slates, saved, taken out again; by keyboard and mouse."""
    await page.fill("#rule-rule_id", "no-toys")
    await page.select_option("#rule-action", "hide")
    await page.fill("#rule-when", f"colour == '{HOSTILE}'")
    await page.get_by_role("button", name="Dry run").press("Enter")
    await page.wait_for_function("() => document.querySelector('#rules-said').textContent.includes('column 1')")
    await page.fill("#rule-when", "'Toys' in category")
    await page.fill("#rule-note", HOSTILE)
    await page.get_by_role("button", name="Dry run").press("Enter")
    await page.wait_for_selector("#rule-changes")
    assert "slates change" in await page.inner_text("#rule-changes")
    await page.get_by_role("button", name="Save").press("Enter")
    await page.wait_for_selector("#rules-list [data-rule='delete no-toys']")
    assert "'Toys' in category" in await page.inner_text("#rules-list")
    await page.get_by_role("button", name="edit no-toys").press("Enter")
    assert await page.input_value("#rule-note") == HOSTILE
    await page.get_by_role("button", name="delete no-toys").press("Enter")
    await page.wait_for_function("() => document.querySelector('#rules-list').textContent === 'No rules yet.'")


async def look(page: Page, shopper: str, item: str, said: str) -> None:
    """Fill both fields in and wait for what the answer says."""
    await page.fill("#who", shopper)
    await page.fill("#what", item)
    await page.keyboard.press("Enter")
    await page.wait_for_function("said => document.querySelector('#looked').textContent.includes(said)", arg=said)


async def trying(page: Page, served: Served, pictures: Path) -> None:
    """The API's own page: authorized with a key, a call answers."""
    fresh = served.window.parts.fresh
    assert fresh is not None
    await page.set_viewport_size({"width": 1280, "height": 860})
    await page.goto(f"{served.url}/docs/")
    await page.wait_for_selector("body[data-ready]")
    await page.get_by_role("button", name="Authorize").first.click()
    await page.fill(".auth-container input", fresh.server)
    await page.locator(".auth-btn-wrapper .authorize").click()
    await page.locator(".auth-btn-wrapper .btn-done").click()
    await page.locator("#operations-default-get_categories .opblock-summary-control").click()
    await page.get_by_role("button", name="Execute").click()
    await page.wait_for_selector("#operations-default-get_categories .live-responses-table")
    assert "Toys" in await page.inner_text("#operations-default-get_categories .live-responses-table")
    await page.screenshot(path=pictures / "docs.png")
