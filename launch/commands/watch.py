"""``daogou watch``: slates as they are made."""

from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, settings_for

if TYPE_CHECKING:
    from contracts.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def watch(
    user: Annotated[str, typer.Option(help="Only this shopper's.")] = "",
    count: Annotated[int, typer.Option(min=0, help="End after so many; 0: at Ctrl-C.")] = 0,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Show slates as they come out of the recommendations topic, from now on, until Ctrl-C.

    With --json one slate a line, with its whole receipt: what triggered it, which model, how long each stage took.

        daogou watch --user shopper-0-0007
    """
    import asyncio

    asyncio.run(_watch(settings_for(broker), user, count, as_json))


async def _watch(settings: "Settings", user: str, count: int, as_json: bool) -> None:
    from itertools import count as counter

    from rich.console import Console

    from contracts.codec import encode_json
    from launch.catalogue_files import current_items
    from launch.slates import show, slates_as_they_come

    items = {} if as_json else await current_items(settings.kafka)
    console, numbers = Console(), counter(1)
    async for slate in slates_as_they_come(settings, user):
        if as_json:
            typer.echo(encode_json(slate).decode())
        else:
            console.print(show(slate, items))
        if next(numbers) == count:
            return
