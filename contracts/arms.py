"""Which arm of an experiment a list that was shown belongs to, by its receipt."""

import re

from contracts.messages import Slate

DAOGOU = "daogou"
CONTROL = "control"
_OURS = re.compile(r"[0-9a-f]{32}\Z")


def arm_shown(recommendation_id: str, slate: Slate | None) -> str:
    """The arm of a list with this receipt; ``slate``: what was published under it, where that is still known.

    An id that cannot be one of daogou's (32 hexadecimal digits) is the shop's own list: the control group's.
    """
    if slate is not None:
        return slate.arm
    return DAOGOU if _OURS.match(recommendation_id) else CONTROL
