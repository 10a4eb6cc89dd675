"""What the operator asks: how it goes, what could not be processed, any shopper, any item."""

from contracts.events import ItemId, UserId
from contracts.operator_api import (
    ItemView,
    LetterQuery,
    Letters,
    LettersQuery,
    OpenLetter,
    Operator,
    Redriven,
    RedriveWish,
    ShopperView,
)
from storefront.endpoint import Call
from storefront.item_view import item_view
from storefront.letters import opened
from storefront.shopper import shopper_view
from streams.letters import returned


async def get_operator(call: Call) -> Operator:
    """How it goes: now, and for the last hour."""
    return call.window.board.now()


async def get_dead_letters(call: Call) -> Letters:
    """The last inputs that could not be processed, newest first, why, and how many by reason."""
    query: LettersQuery = call.query
    return await call.window.letters.newest(query.reason, query.limit)


async def get_dead_letter(call: Call) -> OpenLetter:
    """One of them whole: key, value and headers as they came, and what was said of it."""
    query: LetterQuery = call.query
    (letter,) = await call.window.letters.at([query.at])
    return opened(query.at, letter)


async def post_redrive(call: Call) -> Redriven:
    """Send letters back to the topic that they came from, after mending the cause. All of them, or none."""
    wish: RedriveWish = call.body
    records = returned(call.window.settings, await call.window.letters.at(wish.at))
    return Redriven(sent=len(await call.window.send(records)))


async def get_shopper(call: Call) -> ShopperView:
    """Any shopper: events in the log, the profile, the last slates with their receipts."""
    return await shopper_view(call.window, UserId(call.query.user_id))


async def get_item_view(call: Call) -> ItemView:
    """Any item: who sees it, why not, and with a shopper its way through the stages."""
    user = UserId(call.query.user_id) if call.query.user_id else None
    return await item_view(call.window, ItemId(call.query.item_id), user)
