"""Which late slates are not worth making.

A slate is late when its record was read more than ``engine.deadline`` ago: after an outage, or when events come
faster than slates can be made. Time in Kafka does not count, so a backlog that is read after a pause is answered.

A late slate is left out only if a newer event of the same shopper, which will be answered, was read already and
waits behind it: the shopper gets the newer slate and misses nothing. So overload sheds scoring, never folding, and
each shopper's last slate still answers their last event.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.codec import decode_event
from contracts.errors import BadInput
from contracts.events import ANSWERED, kind_of
from streams.folding import Decoded


def superseded(owed: Sequence[Decoded], behind: Iterable[Any], limit: int) -> frozenset[tuple[int, bytes]]:
    """Of the records that are owed a slate: the (partition, key) of those with a newer one ``behind``."""
    waiting = {(each.record.partition, each.record.key) for each in owed}
    found = set()
    for record in behind:
        place = (record.partition, record.key)
        if place in waiting and place not in found and _answered(record, limit):
            found.add(place)
    return frozenset(found)


def _answered(record: Any, limit: int) -> bool:
    try:
        event = decode_event(record.value, record.key, record.headers, record.timestamp, limit)
    except BadInput:
        return False
    return kind_of(event) in ANSWERED
