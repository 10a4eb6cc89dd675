"""What the stages made of a batch -> slates with their receipts."""

import math
from typing import NamedTuple

from contracts.events import BundleDigest, RecommendationId
from contracts.items import Floats
from contracts.messages import Probabilities, RuleEffect, Slate, SlateItem, StageTiming
from inference.ask import Ask, View
from inference.pipeline import Pipeline, Ranked
from inference.rules.ruling import BROUGHT, SOURCE, in_words

NO_CANDIDATES = "no candidates"
ALL_HIDDEN = "hidden by the shop's rules"


class Receipt(NamedTuple):
    """What is the same for all slates of a batch."""

    bundle: BundleDigest | None
    degraded: str | None
    timings: tuple[StageTiming, ...] = ()

    def slate(
        self,
        ask: Ask,
        recommendation: RecommendationId,
        items: tuple[SlateItem, ...],
        rules: tuple[RuleEffect, ...] = (),
    ) -> Slate:
        """One slate. An empty one is never the best possible."""
        degraded = self.degraded or (None if items else NO_CANDIDATES)
        return Slate(
            recommendation_id=recommendation,
            user_id=ask.profile.user_id,
            surface=ask.surface,
            items=items,
            trigger=ask.trigger,
            profile_version=ask.profile.version,
            bundle=self.bundle,
            stages=self.timings,
            degraded=ALL_HIDDEN if rules and not items else degraded,
            rules=rules,
        )


def items_of_slate(view: View, ranked: Ranked, pipeline: Pipeline, shopper: int, size: int) -> tuple[SlateItem, ...]:
    """The slots of one shopper, best first, at most ``size``."""
    picks = ranked.selection.picks[shopper][:size].tolist()
    return tuple(_item(view, ranked, pipeline, shopper, slot, pick) for slot, pick in enumerate(picks) if pick >= 0)


def _item(view: View, ranked: Ranked, pipeline: Pipeline, shopper: int, slot: int, pick: int) -> SlateItem:
    heads = ranked.scores.heads
    row, source = int(ranked.merged.rows[shopper, pick]), int(ranked.merged.sources[shopper, pick])
    rules = view.ruling.touching(shopper, pick, row)
    return SlateItem(
        item_id=view.table.ids[row],
        score=float(ranked.scores.values[shopper, pick]),
        source=SOURCE if source == BROUGHT else pipeline.sources[source].source.name,
        reason=in_words(ranked.reasons[shopper][slot], rules),
        propensity=float(ranked.selection.propensities[shopper, slot]),
        probabilities=None if heads is None else _probabilities(heads[shopper, pick]),
        rules=tuple(rule.rule_id for rule in rules),
    )


def _probabilities(heads: Floats) -> Probabilities:
    click, cart, purchase, *outcomes = heads.tolist()
    rating, return_visit = (None if math.isnan(value) else value for value in outcomes)
    return Probabilities(click=click, cart=cart, purchase=purchase, rating=rating, return_visit=return_visit)
