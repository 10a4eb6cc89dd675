"""What the stages made of a batch -> slates with their receipts."""

from typing import NamedTuple

from contracts.events import BundleDigest, RecommendationId
from contracts.items import Floats
from contracts.messages import Probabilities, Slate, SlateItem, StageTiming
from inference.ask import Ask, View
from inference.pipeline import Pipeline, Ranked

NO_CANDIDATES = "no candidates"


class Receipt(NamedTuple):
    """What is the same for all slates of a batch."""

    bundle: BundleDigest | None
    degraded: str | None
    timings: tuple[StageTiming, ...] = ()

    def slate(self, ask: Ask, recommendation: RecommendationId, items: tuple[SlateItem, ...]) -> Slate:
        """One slate. An empty one is never the best possible."""
        return Slate(
            recommendation_id=recommendation,
            user_id=ask.profile.user_id,
            surface=ask.surface,
            items=items,
            trigger=ask.trigger,
            profile_version=ask.profile.version,
            bundle=self.bundle,
            stages=self.timings,
            degraded=self.degraded or (None if items else NO_CANDIDATES),
        )


def items_of_slate(view: View, ranked: Ranked, pipeline: Pipeline, shopper: int, size: int) -> tuple[SlateItem, ...]:
    """The slots of one shopper, best first, at most ``size``."""
    picks = ranked.selection.picks[shopper][:size].tolist()
    return tuple(_item(view, ranked, pipeline, shopper, slot, pick) for slot, pick in enumerate(picks) if pick >= 0)


def _item(view: View, ranked: Ranked, pipeline: Pipeline, shopper: int, slot: int, pick: int) -> SlateItem:
    heads = ranked.scores.heads
    return SlateItem(
        item_id=view.table.ids[ranked.merged.rows[shopper, pick]],
        score=float(ranked.scores.values[shopper, pick]),
        source=pipeline.sources[ranked.merged.sources[shopper, pick]].name,
        reason=ranked.reasons[shopper][slot],
        propensity=float(ranked.selection.propensities[shopper, slot]),
        probabilities=None if heads is None else _probabilities(heads[shopper, pick]),
    )


def _probabilities(heads: Floats) -> Probabilities:
    click, cart, purchase = heads.tolist()[:3]
    return Probabilities(click=click, cart=cart, purchase=purchase)
