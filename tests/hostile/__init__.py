"""About two hundred requests that nobody honest sends, each with what may come of it.

``REFUSED``: a 4xx, or the connection is closed without an answer. ``HARMLESS``: an answer that is no server error and
does only what any caller may do.
"""

from tests.hostile import content, credentials, merchandise, wire
from tests.hostile.cases import Fate, Hostile, Keys

__all__ = ["Fate", "Hostile", "Keys", "corpus"]


def corpus(keys: Keys) -> list[Hostile]:
    """All of them."""
    families = (*wire.FAMILIES, *content.FAMILIES, *merchandise.FAMILIES, *credentials.FAMILIES)
    found = [case for family in families for case in family(keys)]
    assert len({case.name for case in found}) == len(found)
    return found
