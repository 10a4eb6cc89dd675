"""``daogou catalogue``: items into the catalogue, out of it, and what is there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, settings_for

if TYPE_CHECKING:
    from contracts.messages import CatalogueItem

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Put items into the catalogue, take them out, list them."
)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="Items: JSON lines, gzip or plain, or a folder with items.jsonl.gz.")],
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """Upsert every item of a file.

    Rows have item_id, title, category (levels joined by ' > '), brand, description, price; stock, group and added_ms
    if you like. A folder that has only events gives its item ids, without words.

        daogou catalogue import amazon_beauty
    """
    import asyncio

    import msgspec

    from launch.catalogue_files import import_items

    done = asyncio.run(import_items(settings_for(broker).kafka, path))
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    typer.echo(f"{done.items:,} items" + (" from the ids in the events: there is no items file" * done.from_events))
    if done.refused:
        typer.echo(f"{done.refused:,} rows refused; the first: {done.first_refusal}")


@app.command()
def put(
    item_id: Annotated[str, typer.Argument(help="The item's id.")],
    title: Annotated[str, typer.Option()] = "",
    category: Annotated[str, typer.Option(help="Levels joined by ' > '.")] = "",
    brand: Annotated[str, typer.Option()] = "",
    description: Annotated[str, typer.Option()] = "",
    price: Annotated[float | None, typer.Option(min=0)] = None,
    stock: Annotated[int | None, typer.Option(min=0, help="0 takes it out of all slates.")] = None,
    broker: Broker = "",
) -> None:
    """Upsert one item. What is given is changed; the rest stays as it was.

    daogou catalogue put p1 --title "Linen Dress" --category "Women > Dresses" --price 79 --stock 12
    """
    import asyncio

    from contracts.events import ItemId
    from launch.catalogue_files import current_items, put_items

    async def upsert() -> "CatalogueItem":
        settings = settings_for(broker).kafka
        item = _changed((await current_items(settings)).get(ItemId(item_id)), item_id, given)
        await put_items(settings, [item])
        return item

    given: dict[str, object] = {
        "title": title, "brand": brand, "description": description, "price": price, "stock": stock,
        "category": tuple(level for level in category.split(" > ") if level),
    }  # fmt: skip
    typer.echo(_line(asyncio.run(upsert())))


@app.command()
def delete(item_ids: Annotated[list[str], typer.Argument(help="Ids of items.")], broker: Broker = "") -> None:
    """Take items out of the catalogue: they are in no slate from then on."""
    import asyncio

    from launch.catalogue_files import delete_items

    asyncio.run(delete_items(settings_for(broker).kafka, item_ids))  # type: ignore[arg-type]
    typer.echo(f"{len(item_ids)} deleted")


@app.command("list")
def list_(
    category: Annotated[str, typer.Option(help="Only items whose category path begins so.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Show no more than this.")] = 50,
    broker: Broker = "",
    as_json: Json = False,
) -> None:
    """List what is in the catalogue topic now."""
    import asyncio

    import msgspec

    from launch.catalogue_files import current_items

    items = asyncio.run(current_items(settings_for(broker).kafka)).values()
    fitting = [item for item in items if " > ".join(item.category).startswith(category)]
    if as_json:
        typer.echo(msgspec.json.encode(fitting[:limit]).decode())
        return
    for item in fitting[:limit]:
        typer.echo(_line(item))
    typer.echo(f"{len(fitting):,} items" + (f", {limit} shown" if len(fitting) > limit else ""))


def _changed(item: "CatalogueItem | None", item_id: str, given: "dict[str, object]") -> "CatalogueItem":
    import msgspec

    from contracts.messages import CatalogueItem

    known = msgspec.structs.asdict(item) if item else {}
    changes = {name: value for name, value in given.items() if value not in ("", None, ())}
    return msgspec.convert(known | {"item_id": item_id} | changes, CatalogueItem)


def _line(item: "CatalogueItem") -> str:
    price = "" if item.price is None else f"{item.price:.2f}"
    stock = "" if item.stock is None else f"{item.stock} in stock"
    return "  ".join(part for part in (item.item_id, item.title, " > ".join(item.category), price, stock) if part)
