"""The rules by hand: put on their topic, taken off it, what is there, what an expression means, a dry run."""

from collections.abc import Sequence
from contextlib import suppress
from time import time

from msgspec import Struct

from contracts.codec import encode_json
from contracts.events import ItemId
from contracts.items import ItemTable
from contracts.rules import Action, Rule
from contracts.rules_api import DryRun
from contracts.settings import KafkaSettings, Settings
from contracts.topics import RULES
from inference.rules.book import RuleBook
from inference.rules.expression import DAY_MS
from launch.catalogue_files import current_items
from launch.producing import producing
from launch.topic_reader import read_to_end
from streams.names import physical
from streams.producer import Outgoing
from streams.rules import take_rule


class Kept(Struct, kw_only=True):
    """What the topic holds: rules, and records that are none with the reason."""

    rules: dict[str, Rule]
    refused: dict[str, str]


class Meant(Struct, kw_only=True):
    """What an expression means: how many items it is true of, the first of them, and how many it fails for."""

    matches: int
    items: int
    first: tuple[ItemId, ...]
    fails: int
    why_failed: str = ""


async def current_rules(settings: KafkaSettings) -> Kept:
    """The rules as the topic has them now, and those that no worker takes."""
    book = await _book(settings)
    return Kept(rules={each.rule.rule_id: each.rule for each in book.ordered}, refused=book.refused)


async def save_rule(settings: KafkaSettings, rule: Rule) -> None:
    """Put a rule, once it is known to be one. Raises: Unacceptable, BrokerUnavailable."""
    (await _book(settings)).admit(rule)
    async with producing(settings) as producer:
        await producer.send([Outgoing(physical(settings, RULES), rule.rule_id.encode(), encode_json(rule))])


async def delete_rules(settings: KafkaSettings, rule_ids: Sequence[str]) -> None:
    """Delete rules, acknowledged. Unknown ones are fine."""
    async with producing(settings) as producer:
        await producer.send([Outgoing(physical(settings, RULES), each.encode(), None) for each in rule_ids])


async def meaning(settings: KafkaSettings, when: str) -> Meant:
    """What an expression means in the catalogue as it is now. Raises: Unacceptable."""
    table = ItemTable(1)
    ruled = RuleBook(table).compile(Rule(rule_id="checked", action=Action.HIDE, when=when))
    for item in (await current_items(settings)).values():
        table.upsert(item)
    day = int(time()) * 1000 // DAY_MS
    meant = sorted(table.ids[row] for row in ruled.matcher.matched(table, day).nonzero()[0].tolist())
    return Meant(
        matches=len(meant), items=len(table), first=tuple(meant[:5]),
        fails=int(ruled.matcher.failed(table, day).sum()), why_failed=ruled.matcher.expression.why_failed,
    )  # fmt: skip


async def dry_run(settings: Settings, rule: Rule) -> DryRun:
    """What a rule would change on the last slates of the stream. Raises: Unacceptable, Unavailable."""
    from launch.shopfront import build_window
    from storefront.rehearsal import rehearse

    window = build_window(settings)
    await window.start()
    try:
        return await rehearse(window, rule)
    finally:
        with suppress(TimeoutError):
            await window.stop()


async def _book(settings: KafkaSettings) -> RuleBook:
    book = RuleBook(ItemTable(1))
    async for record in read_to_end(settings, RULES):
        take_rule(book, record)
    return book
