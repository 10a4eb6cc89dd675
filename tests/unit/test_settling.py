"""Each error has its fate: again, halved and dead-lettered, or the end."""

from collections.abc import Sequence

import pytest

from contracts.errors import (
    AccessRefused,
    BadInput,
    BrokerUnavailable,
    Conflict,
    Corrupted,
    Fenced,
    Oversize,
    Reason,
    Stuck,
)
from contracts.metrics import Metrics
from streams.progress import Progress
from streams.settling import MOST_IN_A_ROW, Settler, Work


class Record:
    def __init__(self, offset: int) -> None:
        self.offset = offset


class Doing(Work):
    """Does records unless one of ``bad`` is among them; ``failures`` come first, one a call."""

    def __init__(self, bad: dict[int, Exception] | None = None, failures: Sequence[Exception] = ()) -> None:
        self.bad, self.failures = bad or {}, list(failures)
        self.done: list[int] = []
        self.buried: list[tuple[int, Reason]] = []
        self.calls = 0

    async def once(self, records: Sequence[Record]) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        for record in records:
            if record.offset in self.bad:
                raise self.bad[record.offset]
        self.done += [record.offset for record in records]

    async def bury(self, record: Record, error: BadInput) -> None:
        self.buried.append((record.offset, error.reason))


def settler(retries: int = 2) -> Settler:
    return Settler(retries, Metrics(), Progress())


def records(count: int) -> list[Record]:
    return [Record(offset) for offset in range(count)]


async def test_what_is_away_is_waited_for_longer_than_retries() -> None:
    work = Doing(failures=[BrokerUnavailable("away")] * 3)
    assert await settler(1).settle(lambda: True, work, records(3))
    assert work.done == [0, 1, 2]


async def test_an_unknown_failure_is_tried_again_first() -> None:
    work = Doing(failures=[RuntimeError("once")])
    assert await settler().settle(lambda: True, work, records(3))
    assert (work.done, work.buried) == ([0, 1, 2], [])


@pytest.mark.parametrize("error", [RuntimeError("bug"), Oversize(Reason.OUTPUT_REFUSED, "too large")])
async def test_the_record_that_breaks_its_batch_is_buried_and_the_rest_done_in_order(error: Exception) -> None:
    work = Doing({11: error})
    assert await settler().settle(lambda: True, work, records(32))
    assert work.done == [n for n in range(32) if n != 11]
    reason = error.reason if isinstance(error, BadInput) else Reason.NOT_APPLICABLE
    assert work.buried == [(11, reason)]


@pytest.mark.parametrize("error", [AccessRefused("no right"), Corrupted("no profile")])
async def test_what_is_refused_or_fatal_ends_it_and_buries_nothing(error: Exception) -> None:
    work = Doing({1: error})
    with pytest.raises(type(error)):
        await settler().settle(lambda: True, work, records(4))
    assert work.buried == []


async def test_a_machine_that_is_broken_does_not_empty_the_topic_into_the_dead_letters() -> None:
    work = Doing({n: OSError("disk") for n in range(100)})
    with pytest.raises(Stuck, match="disk"):
        await settler(1).settle(lambda: True, work, records(100))
    assert len(work.buried) == MOST_IN_A_ROW


async def test_conflicts_without_end_are_another_worker() -> None:
    work = Doing(failures=[Conflict("written")] * 9)
    with pytest.raises(Fenced):
        await settler(2).settle(lambda: True, work, records(1))
    assert work.calls == 3


async def test_partitions_that_are_gone_are_left_alone() -> None:
    work = Doing()
    assert not await settler().settle(lambda: False, work, records(1))
    assert work.calls == 0
