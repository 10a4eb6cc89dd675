"""What serves is what is measured: the engine's own lists as one more row, candidates, filters, ranker and all."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from contracts.bundle import Bundle
from contracts.dialects.dataset import UNTIMED_MS, UNTIMED_STEP_MS
from contracts.events import (
    AnyEvent,
    CartAdd,
    Click,
    EventId,
    ItemId,
    Kind,
    Line,
    Purchase,
    Review,
    UserId,
    View,
    Wishlist,
)
from contracts.messages import Trigger
from contracts.profile import Position, Profile, apply
from contracts.settings import EngineSettings, ModelSettings
from contracts.statistics import Increments
from contracts.surfaces import HOME, Surfaces
from evaluation.metrics import Ranks
from evaluation.sequences import Log
from inference.ask import Ask
from inference.engine import Engine
from training.telling import Step, silent
from training.visits import Visits

BATCH = 64
EMBED_AT_ONCE = 512
NOWHERE = -1

#: The events about one item by which a shopper turns to it; an order is made of lines.
ABOUT_ONE: dict[Kind, type[Click | View | CartAdd | Wishlist | Review]] = {
    Kind.CLICK: Click, Kind.VIEW: View, Kind.CART_ADD: CartAdd, Kind.WISHLIST: Wishlist, Kind.REVIEW: Review,
}  # fmt: skip


class Served:
    """``inference/engine.py`` over a set, having learned ``pasts`` as a worker does. ``bundle`` None: no model.

    ``new`` [items]: which the catalogue says were added today, as a shop would; None: it says of none.
    ``surfaces`` None: the shipped ones.
    """

    def __init__(
        self,
        log: Log,
        pasts: Sequence[Visits],
        bundle: Bundle | None = None,
        settings: EngineSettings | None = None,
        step: Step = silent,
        new: NDArray[np.bool_] | None = None,
        surfaces: Surfaces | None = None,
    ) -> None:
        told = "" if new is None else ", told what is new"
        self.name = (f"daogou, bundle {bundle.manifest.name}" if bundle else "daogou, no model") + told
        self._ids, self._step = log.items, step
        self._number = {ItemId(item): number for number, item in enumerate(log.items)}
        self._engine = Engine(bundle, settings or EngineSettings(), ModelSettings(), surfaces=surfaces)
        fresh = np.zeros(len(log.items), bool) if new is None else new
        for row, is_new in zip(log.rows, fresh.tolist(), strict=True):  # stock and dates are of another day
            self._engine.upsert(replace(row, stock=None, added_ms=UNTIMED_MS if is_new else None))
        self._embed()
        self._pasts = pasts
        self._profiles = [self._learned(number, past) for number, past in enumerate(pasts)]

    def _embed(self) -> None:
        waiting = list(self._engine.waiting())
        for start in range(0, len(waiting), EMBED_AT_ONCE):
            self._step("items embedded", start, len(waiting))
            for embedding in self._engine.embed(waiting[start : start + EMBED_AT_ONCE]):
                self._engine.set_embedding(embedding)

    def _learned(self, number: int, past: Visits) -> Profile:
        """A shopper's profile, once the engine has learned what the past teaches."""
        increments = Increments(self._engine.statistics.decay)
        profile: Profile | None = None
        for position, event in self._events(number, past):
            increments.learn(profile, event)
            profile = apply(profile, position, event).profile
        self._engine.statistics.add(increments)
        self._step("shoppers learned", number + 1, len(self._pasts))
        return profile or Profile(_user(number))

    def _events(self, number: int, past: Visits) -> Iterator[tuple[Position, AnyEvent]]:
        """A shopper's past as events, each of its own type, with times made up from the order of the visits."""
        done = ((place, visit.item, kind) for place, visit in enumerate(past) for kind in visit.kinds)
        for offset, (place, item, kind) in enumerate(done):
            event_id, time_ms = f"{number}-{offset}", UNTIMED_MS + place * UNTIMED_STEP_MS
            yield Position("", 0, offset), _event(kind, self._ids[item], event_id, _user(number), time_ms)

    def lists(self, size: int, asked: Sequence[int], surface: str = HOME) -> NDArray[np.int32]:
        """[asked, size]: the items of each shopper's slate, best first, -1 where there are no more. Seen ones are out.

        ``asked`` are numbers into the pasts. Raises: Missing, for a surface that there is not.
        """
        found = np.full((len(asked), size), NOWHERE, np.int32)
        for start in range(0, len(asked), BATCH):
            self._step("shoppers answered", start, len(asked))
            some = asked[start : start + BATCH]
            slates = self._engine.recommend([self._ask(shopper, size, surface) for shopper in some])
            for place, (shopper, slate) in enumerate(zip(some, slates, strict=True), start):
                seen = {visit.item for visit in self._pasts[shopper]}
                fresh = [n for n in (self._number[ItemId(each.item_id)] for each in slate.items) if n not in seen]
                found[place, : len(fresh[:size])] = fresh[:size]
        return found

    def _ask(self, number: int, size: int, surface: str) -> Ask:
        """Asked for a little more than ``size``, for what the shopper has seen and the engine would show again."""
        length = len(self._pasts[number])
        trigger = Trigger(
            event_id=EventId(f"{number}"),
            topic="",
            partition=0,
            offset=length,
            time_ms=UNTIMED_MS + length * UNTIMED_STEP_MS,
        )
        return Ask(self._profiles[number], trigger, surface, limit=min(200, size + length))


def _user(number: int) -> UserId:
    return UserId(f"u{number}")


def _event(kind: Kind, item: str, event_id: str, user: UserId, time_ms: int) -> AnyEvent:
    if kind is Kind.PURCHASE:
        return Purchase(lines=(Line(item_id=item),), event_id=event_id, user_id=user, time_ms=time_ms)
    return ABOUT_ONE[kind](item_id=item, event_id=event_id, user_id=user, time_ms=time_ms)


def ranks_in(lists: NDArray[np.int32], targets: NDArray[np.int32], items: int) -> Ranks:
    """[B]: where each target stands in its list; beyond all ``items`` where it is not in it."""
    hit = lists == targets[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1), items).astype(np.int64)
