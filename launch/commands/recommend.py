"""``daogou recommend``: what a shopper sees."""

from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, RedisUrl, settings_for

if TYPE_CHECKING:
    from contracts.messages import Slate
    from contracts.settings import Settings
    from launch.slates import Items

app = typer.Typer()


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(help="The shopper's id.")],
    surface: Annotated[str, typer.Option(help="Which list of the shop.")] = "home",
    compute: Annotated[bool, typer.Option("--compute", help="Compute one here and now.")] = False,
    broker: Broker = "",
    redis: RedisUrl = "",
    as_json: Json = False,
) -> None:
    """Show a shopper's slate: the last one that was published, with a reason for every item.

    Where there is none, or with --compute, one is computed here by the workers' own engine from the profile in
    Redis, the catalogue and what all shoppers taught. It is not published.

        daogou recommend shopper-0-0007
    """
    import asyncio

    slate, items = asyncio.run(_find(settings_for(broker, redis), user, surface, compute))
    _print(slate, items, as_json)


async def _find(settings: "Settings", user: str, surface: str, compute: bool) -> "tuple[Slate, Items]":
    from launch.catalogue_files import current_items
    from launch.slates import last_slate

    slate = None if compute else await last_slate(settings, user)
    if slate is None or slate.surface != surface:
        from launch.slate_now import slate_now

        slate = await slate_now(settings, user, surface)
    return slate, await current_items(settings.kafka)


def _print(slate: "Slate", items: "Items", as_json: bool) -> None:
    from rich.console import Console

    from contracts.codec import encode_json
    from launch.slates import show

    if as_json:
        typer.echo(encode_json(slate).decode())
    else:
        Console().print(show(slate, items))
