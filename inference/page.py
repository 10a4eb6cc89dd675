"""What a page shows while it asks, folded into the profile by the one fold."""

from collections.abc import Sequence

from contracts.events import CartAdd, ItemId, View
from contracts.profile import Profile, fold
from contracts.surfaces import Surface


def on_the_page(profile: Profile, surface: Surface, items: Sequence[ItemId], now_ms: int) -> Profile:
    """The profile as if the shopper had viewed the page's item, or put the page's items into the cart, just now."""
    if surface.page == "any":
        return profile
    kind = View if surface.page == "item" else CartAdd
    for item in items:
        profile = fold(profile, kind(event_id="page", user_id=profile.user_id, time_ms=now_ms, item_id=item))
    return profile
