"""What goes together: what others turned to after the items that this shopper looked at, or before. Learned live."""

from collections.abc import Callable, Sequence

from contracts.features import Integers
from contracts.items import Rows
from contracts.statistics import Scores, kernel, strongest_rows
from inference.ask import View
from inference.sources import Shoppers

Counts = Callable[[Rows, Scores, Integers], tuple[Integers, Scores]]


class Follows:
    """The strongest followers of the last items, weighted by recency."""

    name = "goes-together"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        return _strongest(view, view.statistics.followers, limit)

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        anchors = view.statistics.strongest(view.recent[shoppers], rows)
        return [f"Goes with “{view.title(anchor)}”, which you looked at" for anchor in anchors.tolist()]


class Precedes:
    """What most often led to the last items: who compares goes back and forth, so order says less than nearness."""

    name = "goes-before"

    def propose(self, view: View, limit: int) -> Rows:
        """See ``Source``."""
        return _strongest(view, view.statistics.preceders, limit)

    def explain(self, view: View, shoppers: Shoppers, rows: Rows) -> Sequence[str]:
        """See ``Source``."""
        anchors = view.statistics.strongest_after(view.recent[shoppers], rows)
        return [f"Others compare it with “{view.title(anchor)}”, which you looked at" for anchor in anchors.tolist()]


def _strongest(view: View, beside: Counts, limit: int) -> Rows:
    """[B, limit]: what stands beside the last items, the newest counting most, as far as it is offered."""
    keys, scores = beside(view.recent, kernel(view.recent.shape[1]), view.nows_ms)
    offered = view.offered[keys % len(view.table)]
    return strongest_rows(keys[offered], scores[offered], len(view), len(view.table), limit)
