"""What takes candidates out: one idea a file. To add one: see ``inference/stages.py``."""

from typing import Protocol

from contracts.items import Bools, Rows
from inference.ask import View


class Filter(Protocol):
    """Says which candidates may stay."""

    name: str

    def keep(self, view: View, rows: Rows) -> Bools:
        """[B, N]: True where the candidate may stay. ``rows`` are in the order of merit, -1 is padding."""
