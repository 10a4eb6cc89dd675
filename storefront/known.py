"""A profile as the API says it."""

from contracts.api import Counted, Met, ProfileAnswer
from contracts.events import ItemId, Kind
from contracts.profile import Profile
from storefront.window import Window


def profile_answer(window: Window, profile: Profile) -> ProfileAnswer:
    """Everything that is known of a shopper, with the titles of the items they met."""
    past = zip(profile.history.items, profile.history.kinds, profile.history.times_ms, strict=True)
    return ProfileAnswer(
        user_id=profile.user_id, version=profile.version,
        counts=tuple(
            Counted(kind=Kind(number).name.lower(), count=count) for number, count in enumerate(profile.counts) if count
        ),
        history=tuple(
            Met(item_id=item, title=_title(window, item), kind=Kind(kind).name.lower(), time_ms=at)
            for item, kind, at in reversed(list(past))
        ),
        cart=profile.cart, bought=profile.bought.items, hidden=profile.hidden, queries=profile.queries,
        orders=profile.loyalty.orders, spent=profile.loyalty.spent, consent=profile.consent,
        erased_ms=profile.erased_ms,
    )  # fmt: skip


def _title(window: Window, item_id: ItemId) -> str:
    item = window.item(item_id)
    return item.title if item is not None else ""
