"""The shop's rules, followed by every worker and API process: a rule is in force on its next slate.

A rule that cannot be is not lost: nothing is in force under its id, and the list of rules says why.
"""

import asyncio
from contextlib import suppress
from time import time
from typing import Any, Literal

import structlog

from contracts.codec import decode_rule
from contracts.errors import BadInput, Reason, Unacceptable
from contracts.metrics import Metrics
from contracts.rules import Rule
from contracts.settings import KafkaSettings
from contracts.topics import RULES
from inference.rules.book import RuleBook, Ruled
from streams.engine_room import EngineRoom
from streams.names import physical
from streams.progress import Progress
from streams.tail import Runs, Tail

IN_FORCE_MS = 2_000  # after it was saved, a rule is in force everywhere
SLICE_SECONDS = 0.01  # of judging a catalogue by a new rule, between slates

log = structlog.get_logger()


def read_rule(record: Any) -> Rule | None:
    """A rule, or None for a deletion. Raises: BadInput."""
    if record.value is None:
        return None
    rule = decode_rule(record.value)
    if record.key != rule.rule_id.encode():
        raise Unacceptable(Reason.KEY_MISMATCH, "the record's key is not the rule_id; compaction needs it to be")
    return rule


def rule_id_of(record: Any) -> str:
    """Which rule a record is about."""
    return (record.key or b"").decode(errors="replace")[:64]


class RuleFollower:
    """Fills the engine's book of rules."""

    def __init__(self, settings: KafkaSettings, engine: EngineRoom, metrics: Metrics, progress: Progress) -> None:
        self._engine, self._metrics, self._progress = engine, metrics, progress
        self._tail = Tail(settings, (physical(settings, RULES),), "the rules", self._take)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read every rule, then keep up in the background. Raises: BrokerUnavailable, TopicsRefused."""
        await self._tail.start()
        self._task = self._progress.watch(self._tail.follow(), "rules")

    async def stop(self) -> None:
        """Let go."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._tail.stop()

    async def _take(self, runs: Runs) -> None:
        for record in (record for records in runs.values() for record in records):
            await self._apply(record)
        await self._count()

    async def _apply(self, record: Any) -> None:
        rule_id, at = rule_id_of(record), record.timestamp
        try:
            rule = read_rule(record)
            if rule is None:
                await self._engine.ask(lambda engine: engine.rules.delete(rule_id, at))
            else:
                await put_rule(self._engine, rule, at)
        except BadInput as error:
            why = str(error)
            log.warning("a rule is refused", rule=rule_id, error=why)
            await self._engine.ask(lambda engine: engine.rules.refuse(rule_id, why, at))

    async def _count(self) -> None:
        now = int(time() * 1000)
        states, refused = await self._engine.ask(
            lambda engine: ([state_of(each.rule, now) for each in engine.rules.ordered], len(engine.rules.refused))
        )
        for state in ("live", "waiting", "ended"):
            self._metrics.rules.labels(state).set(states.count(state))
        self._metrics.rules.labels("refused").set(refused)


async def put_rule(room: EngineRoom, rule: Rule, changed_ms: int) -> None:
    """Into the book, once the catalogue is judged by it: a little at a time, slates in between. Raises: BadInput."""
    ruled = await room.ask(lambda engine: engine.rules.compile(rule))
    await judge(room, ruled)
    await room.ask(lambda engine: engine.rules.put(ruled, changed_ms))


async def judge(room: EngineRoom, ruled: Ruled) -> None:
    """Judge the whole catalogue by a rule that is in no book yet."""
    now = int(time() * 1000)
    while not await room.ask(lambda engine: engine.rules.catch_up(ruled, now, SLICE_SECONDS)):
        pass


def take_rule(book: RuleBook, record: Any) -> None:
    """One record of the rules' topic into a book by which no slates are made yet."""
    rule_id = rule_id_of(record)
    try:
        rule = read_rule(record)
        if rule is None:
            book.delete(rule_id)
        else:
            book.put(book.compile(rule))
    except BadInput as error:
        book.refuse(rule_id, str(error))


def state_of(rule: Rule, now_ms: int) -> Literal["live", "waiting", "ended"]:
    """live, waiting for its time, or ended."""
    return "ended" if rule.ended(now_ms) else "live" if rule.begun(now_ms) else "waiting"
