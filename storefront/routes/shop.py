"""Items, search, catalogue and profile: what a page shows beside slates, and what a shop's own systems change."""

from time import time

from contracts.api import Accepted, Categories, Category, ItemList, ProfileAnswer, ScoredItem
from contracts.codec import encode_json
from contracts.errors import Missing, Reason, Unacceptable
from contracts.events import ItemId
from contracts.messages import CatalogueItem
from contracts.profile import Profile
from contracts.topics import CATALOGUE, CLICKSTREAM
from inference.browse import Found
from storefront.access import whose
from storefront.endpoint import Call
from storefront.known import profile_answer
from storefront.token import token_of
from streams.names import physical
from streams.producer import Outgoing
from streams.shoppers import forgetting


async def get_item(call: Call) -> CatalogueItem:
    """An item as the catalogue has it."""
    return _known(call, call.path["item_id"])


async def get_similar(call: Call) -> ItemList:
    """What is most like an item."""
    item = ItemId(_known(call, call.path["item_id"]).item_id)
    return _list(await call.window.parts.engine.ask(lambda engine: engine.browse.similar(item, call.query.limit)))


async def get_categories(call: Call) -> Categories:
    """The widest categories of what can be bought."""
    found = await call.window.parts.engine.ask(lambda engine: engine.browse.categories())
    return Categories(categories=tuple(Category(name=name, items=items) for name, items in found))


async def get_trending(call: Call) -> ItemList:
    """What is liked most lately."""
    query = call.query
    return _list(await call.window.parts.engine.ask(lambda engine: engine.browse.trending(query.category, query.limit)))


async def get_search(call: Call) -> ItemList:
    """What some words mean."""
    query = call.query
    return _list(await call.window.parts.engine.ask(lambda engine: engine.browse.search(query.q, query.limit)))


async def get_profile(call: Call) -> ProfileAnswer:
    """Everything that is known of a shopper."""
    user = whose(call.caller, call.query.user_id)
    return profile_answer(call.window, await call.window.profile(user) or Profile(user))


async def delete_profile(call: Call) -> Accepted:
    """Forget a shopper: an event in the log, so that a replay forgets them again."""
    user = whose(call.caller, call.query.user_id)
    value = forgetting(user, int(time() * 1000))
    topic = physical(call.window.settings.kafka, CLICKSTREAM)
    sent = await call.window.send([Outgoing(topic, user.encode(), value, call.window.partition(user))])
    return Accepted(token=token_of(sent))


async def put_item(call: Call) -> CatalogueItem:
    """An item or its new state, into the catalogue's topic; in effect on the next slate."""
    item: CatalogueItem = call.body
    if item.item_id != call.path["item_id"]:
        raise Unacceptable(Reason.KEY_MISMATCH, "item_id in the body is not the one in the path")
    await _to_catalogue(call, encode_json(item))
    return item


async def delete_item(call: Call) -> CatalogueItem:
    """Take an item out; answers with what it was."""
    item = _known(call, call.path["item_id"])
    await _to_catalogue(call, None)
    return item


async def _to_catalogue(call: Call, value: bytes | None) -> None:
    topic = physical(call.window.settings.kafka, CATALOGUE)
    await call.window.send([Outgoing(topic, call.path["item_id"].encode(), value)])


def _known(call: Call, item_id: str) -> CatalogueItem:
    item = call.window.item(ItemId(item_id))
    if item is None:
        raise Missing(f"there is no item {item_id!r} in the catalogue")
    return item


def _list(found: list[Found]) -> ItemList:
    return ItemList(items=tuple(ScoredItem(item=each.item, score=each.score) for each in found))
