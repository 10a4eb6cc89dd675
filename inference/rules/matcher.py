"""Which items of the catalogue an expression is true of, as arrays that follow the catalogue."""

from time import monotonic

import numpy as np

from contracts.items import Bools, ItemTable
from inference.rules.expression import Expression

AT_ONCE = 200  # items between two looks at the clock
DAYS_KEPT = 2


class Mask:
    """``true`` and ``failed`` by row, right for the table as it was at ``stamp``."""

    def __init__(self) -> None:
        self.true, self.failed, self.stamp = np.zeros(0, bool), np.zeros(0, bool), 0

    def fit(self, rows: int) -> None:
        """Room for ``rows``, and half as many again."""
        if len(self.true) < rows:
            more = np.zeros(rows + rows // 2 - len(self.true), bool)
            self.true, self.failed = np.concatenate([self.true, more]), np.concatenate([self.failed, more])


class Matcher:
    """One expression over one table. Only what changed since the last look is judged again."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self._masks: dict[int, Mask] = {}

    def matched(self, table: ItemTable, day: int) -> Bools:
        """[rows]: True where the item is there and the expression is true of it on that day."""
        mask = self._mask(day)
        self._judge(mask, table, day, None)
        return mask.true[: len(table)]

    def failed(self, table: ItemTable, day: int) -> Bools:
        """[rows]: True where the expression fails; such an item is not matched."""
        self.matched(table, day)
        return self._mask(day).failed[: len(table)]

    def catch_up(self, table: ItemTable, day: int, seconds: float) -> bool:
        """Judge for about so long. Returns whether everything is judged."""
        return self._judge(self._mask(day), table, day, monotonic() + seconds)

    def _mask(self, day: int) -> Mask:
        """Of a day, where the age of items counts; the oldest days are forgotten."""
        key = day if self.expression.by_day else 0
        if key not in self._masks and len(self._masks) >= DAYS_KEPT:
            del self._masks[min(self._masks)]
        return self._masks.setdefault(key, Mask())

    def _judge(self, mask: Mask, table: ItemTable, day: int, deadline: float | None) -> bool:
        mask.fit(len(table))
        if mask.stamp == table.stamp:
            return True
        rows = table.changed_since(mask.stamp)
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE].tolist()
            for row in some:
                item = table.items[row]
                found = item is not None and self.expression.matches(item, day)
                mask.true[row], mask.failed[row] = found is True, found is None
            mask.stamp = table.stamp_of(some[-1])
            if deadline is not None and monotonic() > deadline and start + AT_ONCE < len(rows):
                return False
        mask.stamp = table.stamp
        return True
