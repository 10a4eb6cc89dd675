"""Whether a bundle was trained on what an evaluation asks, as far as its manifest's digest of the data says."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

from msgspec import Struct

from contracts.bundle import Bundle
from contracts.events import AnyEvent
from evaluation.folder import Files
from training.log import Log, content_of, digest_of, read_log

HELD_BACK = range(21)
UNTIL = (1.0, *(percent / 100 for percent in range(1, 100)))


class Options(NamedTuple):
    """Of ``daogou train``: what it leaves out."""

    hold_back: int
    until: float

    def __str__(self) -> str:
        said = [f"--hold-back {self.hold_back}"] * (self.hold_back > 0) + [f"--until {self.until}"] * (self.until < 1)
        return " ".join(said) or "nothing held back"


class Seen(Struct, frozen=True, kw_only=True):
    """``seen`` of the ``held_out`` events, which no model may know, were in the bundle's training.

    ``options``: what that training left out; None with "not known", where it was of other files or other options.
    """

    verdict: Literal["held back", "seen", "not known"]
    held_out: int
    seen: int = 0
    options: Options | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the figures must know; nothing where all was held back."""
        if self.verdict == "held back":
            return ()
        if self.verdict == "not known":
            return (
                "It is not known what the bundle was trained on (other files, or other options than are known): it may "
                "have seen what is asked.",
            )
        return (
            f"THE BUNDLE HAS SEEN WHAT IS ASKED: it was trained on this log with {self.options}, in which "
            f"{self.seen:,} of the {self.held_out:,} events are that it must not know. Its figures are too good.",
        )


def seen_by(bundle: Bundle, files: Files, log: Log, held_out: Sequence[int], more: Sequence[float] = ()) -> Seen:
    """``held_out``: where in ``log``, the whole of ``files``, the events are that the bundle must not know.

    ``more``: shares of the log that a training may have read, besides whole percents.
    """
    options = recognised(bundle.manifest.training.data_digest, files, more)
    if options is None:
        return Seen(verdict="not known", held_out=len(held_out))
    learned = set(map(_name, read_log(files.events, files.items, *options).events))
    seen = sum(_name(log.events[place]) in learned for place in held_out)
    return Seen(verdict="seen" if seen else "held back", held_out=len(held_out), seen=seen, options=options)


def _name(event: AnyEvent) -> tuple[str, str]:
    return event.user_id, event.event_id


def recognised(digest: str, files: Files, more: Sequence[float] = ()) -> Options | None:
    """How ``daogou train`` read these files, with the items or without, to get this digest.

    ``more``: shares of the log besides whole percents.
    """
    return next((options for known, options in _digests(files, (*more, *UNTIL)) if known == digest), None)


def _digests(files: Files, untils: Sequence[float]) -> Iterator[tuple[str, Options]]:
    """Of both files, and of the events alone."""
    events = content_of(files.events)
    for content in {events + content_of(files.items), events}:
        for hold_back, until in product(HELD_BACK, untils):
            yield digest_of(content, hold_back, until), Options(hold_back, until)
