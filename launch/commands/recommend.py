"""``daogou recommend``: what a shopper sees."""

from typing import Annotated

import typer

from launch.options import Broker, Json, RedisUrl, settings_for

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

    from contracts.codec import encode_json
    from contracts.messages import Slate
    from launch.catalogue_files import current_items
    from launch.slates import Items, last_slate, show

    settings = settings_for(broker, redis)

    async def find() -> tuple[Slate, Items]:
        published = None if compute else await last_slate(settings, user)
        if published is None or published.surface != surface:
            from launch.slate_now import slate_now

            published = await slate_now(settings, user, surface)
        return published, {} if as_json else await current_items(settings.kafka)

    slate, items = asyncio.run(find())
    if as_json:
        typer.echo(encode_json(slate).decode())
        return
    from rich.console import Console

    Console().print(show(slate, items))
