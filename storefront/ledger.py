"""Lists that were shown and whether they were clicked, of the last hour, in bounded memory.

A click belongs to the last showing of its list to its shopper, and counts once. Who is forgotten is taken out.
"""

from collections import deque
from collections.abc import Callable

from contracts.arms import CONTROL, DAOGOU, arm_shown
from contracts.events import AnyEvent, Click, Impression, RecommendationId, UserId, erases
from contracts.messages import Slate
from contracts.operator_api import ArmState, ClickRates, Estimate
from evaluation.click_rates import Interval, Rate, conclusion, difference, ratio

HOUR_MS = 3_600_000
MOST = 100_000  # lists

Place = tuple[UserId, RecommendationId]


class Shown:
    """A list that a shopper was shown. ``user`` None: forgotten since."""

    __slots__ = ("arm", "clicked", "place", "time_ms", "user")

    def __init__(self, place: Place, arm: str, time_ms: int) -> None:
        self.place, self.arm, self.time_ms = place, arm, time_ms
        self.user: UserId | None = place[0]
        self.clicked = False


class Counts:
    """Of one shopper in one arm."""

    __slots__ = ("clicked", "shown")

    def __init__(self) -> None:
        self.shown = self.clicked = 0


class Ledger:
    """``known``: the slate of an id, while it is remembered."""

    def __init__(self, known: Callable[[RecommendationId], Slate | None], most: int = MOST) -> None:
        self._known, self._most = known, most
        self._lists: deque[Shown] = deque()
        self._last: dict[Place, Shown] = {}
        self._arms: dict[str, dict[UserId, Counts]] = {DAOGOU: {}, CONTROL: {}}
        self._newest_ms = self.unknown_clicks = 0

    def __len__(self) -> int:
        return len(self._lists)

    def take(self, event: AnyEvent, time_ms: int) -> None:
        """An event, and when it came into the log."""
        self._newest_ms = max(self._newest_ms, time_ms)
        if isinstance(event, Impression) and event.recommendation_id:
            self._show((UserId(event.user_id), RecommendationId(event.recommendation_id)))
        elif isinstance(event, Click) and event.recommendation_id:
            self._click((UserId(event.user_id), RecommendationId(event.recommendation_id)))
        elif erases(event):
            self._forget(UserId(event.user_id))
        self._expire()

    def rates(self) -> ClickRates:
        """What there is now."""
        rates = {arm: _rate(list(counts.values())) for arm, counts in self._arms.items()}
        ours, theirs = rates[DAOGOU], rates[CONTROL]
        both = bool(ours.lists and theirs.lists)
        return ClickRates(
            arms=tuple(_state(arm, rate) for arm, rate in rates.items()), words=conclusion(ours, theirs),
            since_ms=self._lists[0].time_ms if self._lists else self._newest_ms,
            difference=_estimate(difference(ours.interval, theirs.interval)) if both else None,
            ratio=_estimate(ratio(ours.interval, theirs.interval)) if both else None,
            unknown_clicks=self.unknown_clicks,
        )  # fmt: skip

    def _show(self, place: Place) -> None:
        shown = Shown(place, arm_shown(place[1], self._known(place[1])), self._newest_ms)
        self._lists.append(shown)
        self._last[place] = shown
        self._arms.setdefault(shown.arm, {}).setdefault(place[0], Counts()).shown += 1

    def _click(self, place: Place) -> None:
        shown = self._last.get(place)
        if shown is None:
            self.unknown_clicks += 1
        elif not shown.clicked:
            shown.clicked = True
            self._arms[shown.arm][place[0]].clicked += 1

    def _forget(self, user: UserId) -> None:
        for shown in self._lists:
            if shown.user == user:
                self._last.pop(shown.place, None)
                shown.user, shown.place = None, (UserId(""), RecommendationId(""))
        for counts in self._arms.values():
            counts.pop(user, None)

    def _expire(self) -> None:
        while self._lists and (
            len(self._lists) > self._most or self._lists[0].time_ms < self._newest_ms - HOUR_MS
        ):  # fmt: skip
            self._drop(self._lists.popleft())

    def _drop(self, shown: Shown) -> None:
        if shown.user is None:
            return
        if self._last.get(shown.place) is shown:
            del self._last[shown.place]
        counts = self._arms[shown.arm][shown.user]
        counts.shown -= 1
        counts.clicked -= shown.clicked
        if not counts.shown:
            del self._arms[shown.arm][shown.user]


def _rate(counts: list[Counts]) -> Rate:
    return Rate.of([each.shown for each in counts], [each.clicked for each in counts])


def _state(arm: str, rate: Rate) -> ArmState:
    estimate = _estimate(rate.interval)
    assert estimate is not None
    return ArmState(arm=arm, lists=rate.lists, clicked=rate.clicked, shoppers=rate.shoppers, rate=estimate)


def _estimate(interval: Interval | None) -> Estimate | None:
    return None if interval is None else Estimate(value=interval.value, low=interval.low, high=interval.high)
