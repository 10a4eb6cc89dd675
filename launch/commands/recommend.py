"""``daogou recommend``: what a shopper sees."""

from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, RedisUrl, known_surface, settings_for

if TYPE_CHECKING:
    from contracts.messages import Slate
    from contracts.settings import Settings
    from launch.slates import Items

app = typer.Typer(add_completion=False)


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(help="The shopper's id.")],
    surface: Annotated[str, typer.Option(help="Which list of the shop (`daogou surfaces`).")] = "home",
    item: Annotated[list[str] | None, typer.Option(help="What the page shows: its item, or one of the cart.")] = None,
    compute: Annotated[bool, typer.Option("--compute", help="Compute one here and now.")] = False,
    broker: Broker = "",
    redis: RedisUrl = "",
    as_json: Json = False,
) -> None:
    """Show a shopper's slate: the last one that was published, with a reason for every item.

    Where there is none, or with --compute, one is computed here by the workers' own engine from the profile in
    Redis, the catalogue and what all shoppers taught. It is not published.

        daogou recommend shopper-0-0007

        daogou recommend shopper-0-0007 --surface product --item kettle-3
    """
    import asyncio

    settings, shown = settings_for(broker, redis), tuple(item or ())
    _check(settings, surface, shown)
    slate, items = asyncio.run(_find(settings, user, surface, shown, compute))
    _print(slate, items, as_json)


def _check(settings: "Settings", surface: str, shown: tuple[str, ...]) -> None:
    from contracts.surface_file import load_surfaces

    page = known_surface(load_surfaces(settings.surfaces), surface).page
    if page == "item" and len(shown) != 1:
        raise typer.BadParameter(f"{surface} stands beside an item: say which one, once", param_hint="--item")
    if page == "any" and shown:
        raise typer.BadParameter(f"{surface} stands beside no item", param_hint="--item")


async def _find(
    settings: "Settings", user: str, surface: str, shown: tuple[str, ...], compute: bool
) -> "tuple[Slate, Items]":
    from launch.catalogue_files import current_items
    from launch.slates import last_slate

    slate = None if compute else await last_slate(settings, user)
    if slate is None or slate.surface != surface:
        from launch.slate_now import slate_now

        slate = await slate_now(settings, user, surface, shown)
    return slate, await current_items(settings.kafka)


def _print(slate: "Slate", items: "Items", as_json: bool) -> None:
    from rich.console import Console

    from contracts.codec import encode_json
    from launch.slates import show

    if as_json:
        typer.echo(encode_json(slate).decode())
    else:
        Console().print(show(slate, items))
