"""What ``verify`` found: counts, and the first differences."""

from msgspec import Struct

SHOWN = 20


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that is not as the log says. ``offset`` -1 and ``user`` "" where they mean nothing."""

    kind: str
    partition: int
    detail: str
    user: str = ""
    offset: int = -1


class Report(Struct, kw_only=True):
    """Counts of one run, filled as it goes.

    ``records`` = ``applied`` + ``duplicates`` + ``dead_lettered`` + ``lost``. ``applied_and_dead_lettered`` are
    readable events that broke something after the fold. ``ahead``: profiles that moved on while we looked.
    ``deleted``: records that retention has taken; what they did cannot be checked.
    """

    records: int = 0
    applied: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    lost: int = 0
    applied_and_dead_lettered: int = 0
    dead_letters_repeated: int = 0
    deleted: int = 0
    lag: int = 0
    shoppers: int = 0
    profiles_equal: int = 0
    profiles_different: int = 0
    profiles_missing: int = 0
    profiles_ahead: int = 0
    profiles_strange: int = 0
    slates: int = 0
    slates_repeated: int = 0
    slates_owed: int = 0
    slates_lost: int = 0
    slates_of_forgotten: int = 0
    seconds: float = 0.0
    differences: int = 0
    shown: list[Difference] = []

    @property
    def clean(self) -> bool:
        """Whether everything is as the log says."""
        return self.differences == 0

    def differs(self, difference: Difference) -> None:
        """Note a difference; the first are kept to be shown."""
        self.differences += 1
        if len(self.shown) < SHOWN:
            self.shown.append(difference)
