"""What was asked for lately, so that a rule can be tried on it: the API's own asks as they were, the stream's slates.

An ask of the API is kept with its profile; of a slate of the stream the profile is read again when it is needed. What
belongs to a shopper who is forgotten goes at once, and slates from before that are not tried again.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from contracts.events import UserId
from contracts.messages import Slate
from contracts.profile import Profile
from inference.ask import Ask

KEPT = 1_000


class Remembered(NamedTuple):
    """An ask. ``exact``: its profile is that of the moment of the ask."""

    ask: Ask
    exact: bool


class Asked:
    """The API's last asks."""

    def __init__(self) -> None:
        self._asks: deque[Ask] = deque(maxlen=KEPT)

    def note(self, ask: Ask) -> None:
        """Keep one."""
        self._asks.append(ask)

    def forget(self, user: UserId) -> None:
        """A shopper is forgotten."""
        self._asks = deque((ask for ask in self._asks if ask.profile.user_id != user), maxlen=KEPT)

    def last(self) -> list[Ask]:
        """Oldest first."""
        return list(self._asks)


def remembered(asks: Sequence[Ask], slates: Sequence[Slate], profiles: Sequence[Profile | None]) -> list[Remembered]:
    """The last asks of both kinds, newest first; ``profiles`` are those of the shoppers of ``slates``, None if gone."""
    found = [Remembered(ask, True) for ask in asks]
    for slate, profile in zip(slates, profiles, strict=True):
        if profile is not None and slate.trigger.time_ms > profile.erased_ms:
            ask = Ask(profile, slate.trigger, slate.surface)
            found.append(Remembered(ask, profile.version == slate.profile_version))
    return sorted(found, key=lambda each: -each.ask.trigger.time_ms)[:KEPT]
