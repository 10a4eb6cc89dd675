"""Leave-one-out examples: the last events of each shopper, beside what all *other* shoppers teach.

For logs without times, where "before" means something within a shopper only; where there are times they are put aside,
as leave-one-out does that evaluates it: a shopper's events are a minute apart. Shoppers are drawn into folds; a fold's
features come from the counts of the other folds (cross-fitting), so no example has seen its answer, and each is read
beside nearly as many counts as there will be when it serves.

To those that teach of a fold a twentieth of the items is new: nothing was counted of them. So what serves has met, in
training, items that nobody turned to yet, and knows what their words alone are worth beside what others have in counts.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np

from contracts.events import AnyEvent, ItemId, items_of, kind_of
from contracts.profile import Position, Profile, apply
from contracts.statistics import Increments, Statistics
from training.lists import ENTROPY, Decision, Examples, Lists, Question
from training.outcomes import rating_of
from training.replay import FLUSH, heads_of
from training.walks import walks_of

FOLDS = 5
LAST = 3  # of a shopper's events are asked for; of those that teach more, where shoppers are few
ENOUGH = 60_000  # examples
MOST = 20
JUDGED = 2_000  # questions are to judge, as far as so large a share of the shoppers has them:
MOST_JUDGE = 0.2
NEW = 20  # one item of so many is new to a fold


class Shopper(NamedTuple):
    """One shopper's events in their order; those of ``check`` judge, they do not teach."""

    events: Sequence[AnyEvent]
    check: bool


class CrossFit:
    """Examples of a whole log, fold by fold. ``one_in``: of so many shoppers one is asked; all of them are counted."""

    def __init__(
        self, lists: Lists, events: Sequence[AnyEvent], check_share: float, seed: int, one_in: int = 1
    ) -> None:
        self._lists, self._heads = lists, heads_of(events)
        walks = walks_of(events)
        order = np.random.default_rng([seed, ENTROPY]).permutation(len(walks))
        checks = max(1, round(len(walks) * judging(len(walks), check_share)))
        shoppers = [Shopper(walks[at], place < checks) for place, at in enumerate(order.tolist())]
        self._last = min(MOST, max(LAST, ENOUGH // max(1, len(walks))))
        self._folds = [shoppers[fold::FOLDS] for fold in range(FOLDS)]
        self._seed, self._one_in = seed, one_in
        self.seen = 0  # events so far

    def run(self) -> Iterator[tuple[bool, Examples]]:
        """Whether a batch judges, and the batch."""
        taught = [self._taught(fold) for fold in self._folds]
        empty = self._lists.statistics
        for number, fold in enumerate(self._folds):
            others = [one for other, one in enumerate(taught) if other != number]
            for check, new in ((False, self._new(number)), (True, frozenset[ItemId]())):
                self._lists.statistics = Statistics(empty.table, empty.decay)
                put(self._lists.statistics, others, new)
                some = [shopper for shopper in fold if shopper.check == check]
                yield from ((check, batch) for batch in self._batches(some[:: self._one_in]))

    def _new(self, fold: int) -> Set[ItemId]:
        """The items that are new to a fold; to each other ones."""
        ids = self._lists.table.ids
        return {ids[row] for row in np.random.default_rng([self._seed, NEW]).permutation(len(ids))[fold::NEW].tolist()}

    def _taught(self, shoppers: Sequence[Shopper]) -> Increments:
        increments = Increments(self._lists.statistics.decay)
        for shopper in shoppers:
            for before, event in folded(shopper.events):
                increments.learn(before, event)
        return increments

    def _batches(self, shoppers: Sequence[Shopper]) -> Iterator[Examples]:
        asked: list[Question] = []
        for shopper in shoppers:
            asked += self._questions(shopper)
            self.seen += len(shopper.events)
            if len(asked) >= FLUSH:
                yield self._lists.examples(asked)
                asked = []
        if asked:
            yield self._lists.examples(asked)

    def _questions(self, shopper: Shopper) -> list[Question]:
        """About the last events that a head learns from."""
        found = (
            Question(
                Decision(before, event.time_ms),
                ItemId(items_of(event)[0]),
                self._heads[kind_of(event)],
                rating_of(event),
            )
            for before, event in folded(shopper.events)
            if before is not None and kind_of(event) in self._heads
        )
        return list(deque(found, maxlen=LAST if shopper.check else self._last))


def judging(shoppers: int, least: float) -> float:
    """The share of the shoppers that judges: ``least``, and more where shoppers are few.

    Their last events alone are asked for, as what serves will be: older ones are another question.
    """
    return max(least, min(MOST_JUDGE, JUDGED / (LAST * max(1, shoppers))))


def folded(events: Sequence[AnyEvent]) -> Iterator[tuple[Profile | None, AnyEvent]]:
    """Each event beside the profile before it."""
    profile: Profile | None = None
    for number, event in enumerate(events):
        yield profile, event
        profile = apply(profile, Position("", 0, number), event).profile


def put(statistics: Statistics, taught: Sequence[Increments], new: Set[ItemId] = frozenset()) -> None:
    """Set all counts to the sum of what was taught, but for those of ``new`` items: they stay without any."""
    pairs: defaultdict[ItemId, defaultdict[ItemId, float]] = defaultdict(lambda: defaultdict(float))
    trend: defaultdict[ItemId, float] = defaultdict(float)
    for increments in taught:
        for item, weight in increments.trend.items():
            trend[item] += weight
        for item, followers in increments.pairs.items():
            for follower, weight in followers.items():
                pairs[item][follower] += weight
    known = ((item, weight) for item, weight in trend.items() if item not in new)
    statistics.put_trend(known, max(increments.latest_ms for increments in taught))
    statistics.put_followers(
        (item, [(other, weight) for other, weight in counts.items() if other not in new])
        for item, counts in pairs.items()
        if item not in new
    )
