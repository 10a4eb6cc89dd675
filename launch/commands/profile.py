"""``daogou profile``: what is known of one shopper, and forgetting it."""

from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, RedisUrl, print_json, settings_for

if TYPE_CHECKING:
    from rich.console import Console

    from contracts.settings import Settings
    from streams.shoppers import Found

app = typer.Typer(
    add_completion=False, help="What is known of one shopper: show it, or forget it.", no_args_is_help=True
)

User = Annotated[str, typer.Argument(help="The user id, as it is in the events.")]


@app.command()
def show(user: User, redis: RedisUrl = "", as_json: Json = False) -> None:
    """Show a shopper's profile: what they did, what they have, what it says of them. Exit 1 if nothing is known."""
    import asyncio

    from rich.console import Console

    found = asyncio.run(_found(settings_for("", redis), user))
    if as_json:
        print_json([{"partition": each.partition, "profile": _named(each)} for each in found])
    else:
        for each in found:
            _print(Console(), each)
        if len(found) != 1:
            typer.echo(f"{len(found)} profiles of this shopper" if found else "nothing is known of this shopper")
    raise typer.Exit(0 if found else 1)


@app.command()
def forget(
    user: User,
    broker: Broker = "",
    redis: RedisUrl = "",
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait for a worker to apply it.")] = 30,
    as_json: Json = False,
) -> None:
    """Erase all that is known of a shopper, and wait until it is done.

    The wish is an event in the log, so that a replay forgets the shopper again. Their slate is removed too. Events
    themselves leave the log when its retention ends.
    """
    import asyncio

    erased = asyncio.run(_forgotten(settings_for(broker, redis), user, seconds))
    if as_json:
        print_json({"user": user, "erased": erased})
        return
    typer.echo(f"forgotten ({erased} profiles erased)" if erased else "forgotten; nothing was known")


async def _found(settings: "Settings", user: str) -> "list[Found]":
    from contracts.events import UserId
    from streams.shoppers import find
    from streams.store import open_store

    store = open_store(settings)
    try:
        return await find(settings, store, UserId(user))
    finally:
        await store.close()


async def _forgotten(settings: "Settings", user: str, seconds: float) -> int:
    from contracts.events import UserId
    from streams.shoppers import forget as forgotten
    from streams.store import open_store

    store = open_store(settings)
    try:
        return await forgotten(settings, store, UserId(user), seconds)
    finally:
        await store.close()


def _named(found: "Found") -> dict[str, object]:
    """The profile with its fields' names: in the store it is an array."""
    from msgspec import Struct
    from msgspec.structs import asdict

    fields = asdict(found.profile).items()
    return {name: asdict(value) if isinstance(value, Struct) else value for name, value in fields}


def _print(console: "Console", found: "Found") -> None:
    from rich.table import Table
    from rich.text import Text

    facts = Table(show_header=False, box=None)
    for name, value in _facts(found):
        facts.add_row(name, Text(value))  # Text: ids and words are no markup
    console.print(facts)
    past = found.profile.history
    table = Table("when (UTC)", "what", "item", title="last, the newest first")
    for item, kind, at in reversed(list(zip(past.items, past.kinds, past.times_ms, strict=True))[-20:]):
        table.add_row(_time(at), _kind(kind), Text(item))
    if past.items:
        console.print(table)


def _facts(found: "Found") -> list[tuple[str, str]]:
    profile, loyalty = found.profile, found.profile.loyalty
    counts = ", ".join(f"{_kind(kind)} {n:,}" for kind, n in enumerate(profile.counts) if n)
    orders = f"{loyalty.orders:,} orders on {loyalty.repeat_days:,} days after the first, {loyalty.spent:,.2f} spent"
    at = f"partition {found.partition}, offset {profile.position.offset if profile.position else 'none'}"
    consent = {None: "never asked", True: "given", False: "withdrawn: nothing is learned"}[profile.consent]
    return [
        ("shopper", profile.user_id), ("known since", _time(profile.first_ms)), ("last seen", _time(profile.last_ms)),
        ("stands at", f"{at}, version {profile.version}, last answered {profile.answered}"),
        ("consent", consent), ("erased", _time(profile.erased_ms)), ("did", counts or "nothing"), ("loyalty", orders),
        ("searched", "; ".join(profile.queries)), ("in the cart", ", ".join(profile.cart)),
        ("bought", ", ".join(profile.bought.items)), ("hidden", ", ".join(profile.hidden)),
        ("shown lately", f"{len(profile.shown):,} items"),
    ]  # fmt: skip


def _kind(number: int) -> str:
    from contracts.events import Kind

    return Kind(number).name.lower().replace("_", " ") if number in Kind._value2member_map_ else f"kind {number}"


def _time(unix_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if unix_ms else "never"
