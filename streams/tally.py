"""What became of each record of a batch, counted once however often the batch was tried."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from contracts.metrics import Metrics
from streams.folding import Folded, Undecoded

DEAD_LETTERED = "dead_lettered"


class Tally:
    """One batch's outcomes by partition and offset; the first counts, because a second try finds only repeats."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[int, int], str] = {}

    def folded(self, each: Folded) -> None:
        """A shopper whose profile is saved, or needed no saving."""
        for offset, outcome in each.judged:
            self._outcomes.setdefault((each.key.partition, offset), outcome.value)

    def buried(self, bad: Iterable[Undecoded]) -> None:
        """Records whose dead letters Kafka has; that they were applied as well does not count any more."""
        for each in bad:
            self._outcomes[_place(each.record)] = DEAD_LETTERED

    def count(self, metrics: Metrics) -> None:
        """The batch is done."""
        for outcome, count in Counter(self._outcomes.values()).items():
            metrics.events.labels(outcome).inc(count)


def _place(record: Any) -> tuple[int, int]:
    return record.partition, record.offset
