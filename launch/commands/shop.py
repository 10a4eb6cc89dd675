"""``daogou shop``: write the simulated shop's catalogue and history to files."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def shop(
    out: Annotated[Path, typer.Option(help="Folder for events.jsonl.gz and items.jsonl.gz.")],
    seed: Annotated[int, typer.Option(help="Whose history; the demo's are 0, 1, 2, ...")] = 1000,
    shop_seed: Annotated[int, typer.Option(help="Which shop; the demo's is 0.")] = 0,
    shoppers: Annotated[int, typer.Option(min=1, help="How many shoppers.")] = 1000,
    days: Annotated[float, typer.Option(min=0.01, help="How many days they shop.")] = 30.0,
) -> None:
    """Write the simulated shop to files that train, publish and catalogue read.

    About a thousand products in a dozen departments; shoppers with hidden, drifting tastes who search, look at
    lists, click, view, fill carts and order. The tastes themselves are in no file.

        daogou shop --out shop --shoppers 500 --days 14
    """
    from launch.shop.files import write_shop
    from launch.shop.shop import Shop

    written = write_shop(out, Shop.make(shop_seed), seed, shoppers, days)
    typer.echo(f"{written.events:,} events and {written.items:,} items in {out}")
