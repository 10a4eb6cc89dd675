"""What the shop's rules hide."""

from contracts.items import Bools, Rows
from inference.ask import View


class Hidden:
    """Out: items of which a rule in force says ``hide``. Before ``Variants``, so that a sibling may stand in."""

    name = "hidden"

    def keep(self, view: View, rows: Rows) -> Bools:
        """See ``Filter``."""
        return view.ruling.keep(rows)
