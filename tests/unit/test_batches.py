"""Only the acked prefix of what was delivered is ever committed."""

from collections.abc import Sequence
from typing import NamedTuple

import faust
import pytest
from faust.types import TP
from yarl import URL

from streams.batches import MAX_OPEN_RUNS, BatchConsumer, BatchMessage, BatchStream, BatchTransport

TOPIC = "clicks"
PLACE = TP(TOPIC, 0)


class Record(NamedTuple):
    offset: int
    timestamp: int = 0
    timestamp_type: int = 0


@pytest.fixture
async def consumer() -> BatchConsumer:
    """Faust's consumer as the app makes it, not connected to anything."""
    broker = URL("kafka://127.0.0.1:1")
    app = faust.App("test", broker=broker, Stream=BatchStream, web_enabled=False)
    app.transport = BatchTransport([broker], app)
    app.topics.acks_enabled_for = lambda topic: topic == TOPIC  # what a topic with an agent has

    async def nothing(*_: object) -> None: ...

    return app.transport.create_consumer(nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing)


def deliver(consumer: BatchConsumer, offsets: Sequence[int], place: TP = PLACE) -> BatchMessage:
    return consumer._delivered(place, [Record(offset) for offset in offsets], 1)


def test_a_run_commits_the_offset_after_its_last(consumer: BatchConsumer) -> None:
    run = deliver(consumer, range(10, 20))
    assert consumer._new_offset(PLACE) is None
    consumer.ack(run)
    assert consumer._new_offset(PLACE) == 20
    assert consumer._new_offset(PLACE) is None, "once"


def test_acks_out_of_order_never_commit_past_a_hole(consumer: BatchConsumer) -> None:
    first, second, third = (deliver(consumer, range(n, n + 5)) for n in (0, 5, 10))
    consumer.ack(third)
    consumer.ack(second)
    assert consumer._new_offset(PLACE) is None
    consumer.ack(first)
    assert consumer._new_offset(PLACE) == 15


def test_holes_of_compaction_are_no_holes(consumer: BatchConsumer) -> None:
    consumer.ack(deliver(consumer, [3, 9]))
    consumer.ack(deliver(consumer, [40]))
    assert consumer._new_offset(PLACE) == 41


def test_partitions_are_apart(consumer: BatchConsumer) -> None:
    other = TP(TOPIC, 1)
    deliver(consumer, [0])
    consumer.ack(deliver(consumer, [7], other))
    assert (consumer._new_offset(PLACE), consumer._new_offset(other)) == (None, 8)


def test_a_re_created_topic_forgets_its_former_life(consumer: BatchConsumer) -> None:
    before = deliver(consumer, range(100))
    consumer._committed_offset[PLACE] = 90
    after = deliver(consumer, range(3))
    consumer.ack(before)
    assert consumer._new_offset(PLACE) is None, "an ack of the former life"
    consumer.ack(after)
    assert consumer._new_offset(PLACE) == 3
    assert consumer._should_commit(PLACE, 3)


def test_what_is_acked_is_offered_for_the_last_commit_of_a_rebalance(consumer: BatchConsumer) -> None:
    consumer.ack(deliver(consumer, range(5)))
    consumer._acked.pop(PLACE)  # what Faust does first when partitions are revoked
    assert list(consumer._filter_tps_with_pending_acks()) == [PLACE]
    assert consumer._filter_committable_offsets([PLACE]) == {PLACE: 5}


async def test_reading_waits_for_room(consumer: BatchConsumer) -> None:
    runs = [deliver(consumer, [n]) for n in range(MAX_OPEN_RUNS)]
    assert not await consumer._wait_for_room(0.001)
    consumer.ack(runs[0])
    assert await consumer._wait_for_room(0.001)


async def test_revoked_partitions_leave_nothing_to_commit(consumer: BatchConsumer) -> None:
    run = deliver(consumer, range(5))
    consumer._forget()
    consumer.ack(run)
    assert consumer._new_offset(PLACE) is None
    assert await consumer._wait_for_room(0.001)
