"""The dry run of a rule: the last slates made twice, without it and with it, by the engine that makes the live ones.

Both are made in one turn of the engine's thread, so nothing but the rule is different; live requests go in between.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from time import time
from typing import NamedTuple

from msgspec.structs import replace

from contracts.errors import Overloaded
from contracts.events import ItemId
from contracts.messages import Slate
from contracts.rules import Rule
from contracts.rules_api import DryRun, Example, Shown
from inference.ask import Ask
from inference.engine import Engine
from inference.rules.advice import advice
from inference.rules.book import Ruled
from inference.rules.expression import DAY_MS
from storefront.asked import KEPT, Remembered, remembered
from storefront.window import Window
from streams.rules import judge

AT_ONCE = 16  # slates of one turn
EXAMPLES = 5


class Pair(NamedTuple):
    """A slate without the rule and with it."""

    before: Slate
    after: Slate

    @property
    def changed(self) -> bool:
        """Whether the shopper would see another list."""
        return _ids(self.before) != _ids(self.after)


async def rehearse(window: Window, rule: Rule) -> DryRun:
    """What a rule would change; one at a time. Raises: Unacceptable (what is wrong), Overloaded, StoreUnavailable."""
    ruled = await window.parts.engine.ask(lambda engine: engine.rules.compile(rule))
    if window.rehearsing.locked():
        raise Overloaded("another dry run is under way; try again in a few seconds")
    async with window.rehearsing:
        return await _rehearsed(window, ruled)


async def _rehearsed(window: Window, ruled: Ruled) -> DryRun:
    room = window.parts.engine
    await judge(room, ruled)
    asked = await last_asked(window)
    pairs = await pairs_of(window, ruled, [each.ask for each in asked])
    now, size = int(time() * 1000), window.settings.engine.slate_size
    warnings = await room.ask(lambda engine: advice(engine.rules, ruled, now, size))
    warnings += await room.ask(lambda engine: _of_surfaces(engine, ruled.rule))
    counts = await room.ask(lambda engine: counts_of(engine, ruled, now))
    return _report(window, asked, pairs, counts, [*warnings, *_of_pairs(pairs)])


async def last_asked(window: Window) -> list[Remembered]:
    """The last asks, newest first."""
    slates = list(window.hub.latest)[-KEPT:]
    users = list(dict.fromkeys(slate.user_id for slate in slates))
    profiles = dict(zip(users, await window.profiles(users), strict=True))
    found = remembered(window.asked.last(), slates, [profiles[slate.user_id] for slate in slates])
    surfaces = await window.parts.engine.ask(lambda engine: engine.surfaces.names)
    return [each for each in found if each.ask.surface in surfaces]  # of other surfaces may be what other workers have


async def pairs_of(window: Window, ruled: Ruled, asks: Sequence[Ask]) -> list[Pair]:
    """Each ask answered without the rule and with it, as if it had been in its time then."""
    always = Ruled(replace(ruled.rule, valid_from_ms=None, valid_to_ms=None), ruled.matcher)

    def both(engine: Engine, some: Sequence[Ask]) -> list[Pair]:
        without, under = engine.with_rules(engine.rules), engine.with_rules(engine.rules.tried(always))
        return list(map(Pair, without.recommend(some), under.recommend(some)))

    pairs: list[Pair] = []
    for start in range(0, len(asks), AT_ONCE):
        some = asks[start : start + AT_ONCE]
        pairs += await window.parts.engine.ask(lambda engine, some=some: both(engine, some))  # type: ignore[misc]
    return pairs


def counts_of(engine: Engine, ruled: Ruled, now_ms: int) -> tuple[int, int]:
    """How many items of the catalogue a rule means now, and for how many it fails."""
    day = now_ms // DAY_MS
    matched, failed = ruled.matcher.matched(engine.table, day), ruled.matcher.failed(engine.table, day)
    return int(matched.sum()), int(failed.sum())


def _report(
    window: Window, asked: Sequence[Remembered], pairs: Sequence[Pair], counts: tuple[int, int], warnings: Sequence[str]
) -> DryRun:
    moved: Counter[str] = Counter(move for pair in pairs for move in _moves(pair))
    changed = [pair for pair in pairs if pair.changed]
    return DryRun(
        slates=len(pairs), exact=sum(each.exact for each in asked), changed=len(changed),
        emptied=sum(map(_emptied, pairs)), moved_in=moved["in"], moved_out=moved["out"], moved_up=moved["up"],
        moved_down=moved["down"], matches=counts[0], fails=counts[1], warnings=tuple(warnings),
        examples=tuple(_example(window, pair) for pair in changed[:EXAMPLES]),
    )  # fmt: skip


def _of_surfaces(engine: Engine, rule: Rule) -> list[str]:
    return [engine.surfaces.unknown(name) for name in rule.surfaces if engine.surfaces.get(name) is None]


def _of_pairs(pairs: Sequence[Pair]) -> Iterator[str]:
    if not pairs:
        yield "no slate was asked for lately: there is nothing to try it on"
    elif emptied := sum(map(_emptied, pairs)):
        yield f"{emptied:,} of {len(pairs):,} slates would be empty"
    elif not any(pair.changed for pair in pairs):
        yield f"it changes none of the last {len(pairs):,} slates"


def _emptied(pair: Pair) -> bool:
    return bool(pair.before.items) and not pair.after.items


def _moves(pair: Pair) -> Iterator[str]:
    """in, out, up or down for each item that is not where it was."""
    before = {item: place for place, item in enumerate(_ids(pair.before))}
    after = {item: place for place, item in enumerate(_ids(pair.after))}
    for item in {**before, **after}:
        if item not in before or item not in after:
            yield "in" if item in after else "out"
        elif before[item] != after[item]:
            yield "up" if after[item] < before[item] else "down"


def _example(window: Window, pair: Pair) -> Example:
    before, after = (_shown(window, slate) for slate in pair)
    slate = pair.after
    return Example(
        user_id=slate.user_id, surface=slate.surface, time_ms=slate.trigger.time_ms, before=before, after=after
    )


def _shown(window: Window, slate: Slate) -> tuple[Shown, ...]:
    known = [(slot, window.item(slot.item_id)) for slot in slate.items]
    return tuple(
        Shown(item_id=slot.item_id, title=item.title if item else "", rules=slot.rules) for slot, item in known
    )


def _ids(slate: Slate) -> tuple[ItemId, ...]:
    return tuple(slot.item_id for slot in slate.items)
