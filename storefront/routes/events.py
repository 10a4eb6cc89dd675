"""``POST /v1/events``, ``POST /v1/visitors``: what shoppers do, and who they are."""

from time import time
from uuid import uuid4

import msgspec
from starlette.responses import Response

from contracts.api import EventResult, EventsAnswer, Visitor, VisitorWish
from contracts.codec import read_posted
from contracts.errors import BadInput, CallerRefused, Reason, Unreadable
from contracts.events import AnyEvent, UserId
from contracts.topics import CLICKSTREAM
from storefront.access import Role
from storefront.endpoint import JSON, Call
from storefront.token import token_of
from streams.names import partition_of, physical
from streams.producer import Outgoing

MOST = 1_000


async def post_events(call: Call) -> Response:
    """One event or a list of them, in any dialect that the stream reads; answered when Kafka has them."""
    rows, now_ms = _rows(call.raw), int(time() * 1000)
    read = [_read(row, now_ms, call.window.settings.stream.event_limit) for row in rows]
    for each in read:
        if call.caller.user is not None and not isinstance(each, BadInput) and each.user_id != call.caller.user:
            raise CallerRefused("a visitor's token is good for that visitor's events alone", known=True)
    good = [(row, event) for row, event in zip(rows, read, strict=True) if not isinstance(event, BadInput)]
    sent = await call.window.send([_outgoing(call, row, event) for row, event in good]) if good else []
    found = EventsAnswer(
        accepted=len(good), refused=len(rows) - len(good), results=tuple(map(_result, read)),
        token=token_of(sent) if sent else None,
    )  # fmt: skip
    return Response(msgspec.json.encode(found), 202 if good else 422, media_type=JSON)


def _rows(raw: bytes) -> list[bytes]:
    """The events of a body, each as its own bytes. Raises: Unreadable."""
    many = raw.lstrip()[:1] == b"["
    try:
        rows = (
            msgspec.json.decode(raw, type=list[msgspec.Raw]) if many else [msgspec.json.decode(raw, type=msgspec.Raw)]
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(Reason.NOT_JSON, f"body: {error}; send one event or a list of events") from error
    if not 1 <= len(rows) <= MOST:
        raise Unreadable(Reason.INVALID_FIELD, f"{len(rows):,} events; send 1 to {MOST:,} at a time")
    return list(map(bytes, rows))


def _read(row: bytes, now_ms: int, limit: int) -> AnyEvent | BadInput:
    try:
        return read_posted(row, now_ms, limit)
    except BadInput as error:
        return error


def _outgoing(call: Call, row: bytes, event: AnyEvent) -> Outgoing:
    """The event as it came, under its user."""
    kafka, key = call.window.settings.kafka, event.user_id.encode()
    return Outgoing(physical(kafka, CLICKSTREAM), key, row, partition_of(key, kafka.partitions))


def _result(read: AnyEvent | BadInput) -> EventResult:
    if isinstance(read, BadInput):
        return EventResult(status="refused", reason=read.reason.value, message=str(read))
    return EventResult(status="accepted", event_id=read.event_id)


async def post_visitor(call: Call) -> Visitor:
    """A token for a page: of a new anonymous visitor, or of the user that a server names."""
    wish: VisitorWish = call.body
    if wish.user_id is not None and call.caller.role is Role.PAGE:
        raise CallerRefused("only a server's key may name a user; without one a new visitor is made", known=True)
    user = UserId(wish.user_id or f"visitor-{uuid4().hex}")
    token, seconds = call.window.parts.access.visitor(user)
    return Visitor(user_id=user, token=token, expires_ms=int((time() + seconds) * 1000))
