"""``daogou surfaces``: the lists of the shop, their stages, and a file of them checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Json, print_json

if TYPE_CHECKING:
    from contracts.surfaces import Stage, Surface

app = typer.Typer(add_completion=False, invoke_without_command=True, no_args_is_help=False)


@app.callback()
def surfaces(context: typer.Context, as_json: Json = False) -> None:
    """Show the surfaces in force (DAOGOU_SURFACES, else the shipped ones) with their stages.

    A setting that is not shown is that of DAOGOU_ENGINE__*. To have surfaces of your own:

        daogou surfaces show > surfaces.toml

        daogou surfaces check surfaces.toml

        DAOGOU_SURFACES=surfaces.toml daogou worker
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@app.command()
def show() -> None:
    """Print the shipped file, to start from."""
    from contracts.surface_file import SHIPPED

    typer.echo(SHIPPED.read_text(encoding="utf-8"), nl=False)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A TOML file of surfaces.")]) -> None:
    """Say OK, or everything that is wrong with a file, a line each; exit 1 then."""
    from contracts.errors import SettingsRefused
    from contracts.settings import load_settings
    from contracts.surface_file import read_surfaces
    from inference.stages import build

    found, problems = read_surfaces(file)
    if found is not None:
        try:
            build(found, load_settings().engine)
        except SettingsRefused as error:
            problems = (str(error),)
    for problem in problems:
        typer.echo(f"{file}: {problem}", err=True)
    if problems or found is None:
        raise typer.Exit(1)
    typer.echo(f"{file}: OK, {len(found.names)} surfaces: {', '.join(found.names)}")


def _list(as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from contracts.settings import load_settings
    from contracts.surface_file import load_surfaces

    found = load_surfaces(load_settings().surfaces)
    if as_json:
        print_json({surface.name: surface for surface in found})
        return
    table = Table(title=found.origin, title_justify="left")
    for column in ("surface", "sources", "filters", "scorer", "selectors"):
        table.add_column(column, overflow="fold")
    for surface in found:
        lists = (surface.sources, surface.filters, (surface.scorer,), surface.selectors)
        table.add_row(_head(surface), *("\n".join(map(_words, stages)) for stages in lists), end_section=True)
    Console().print(table)


def _head(surface: "Surface") -> str:
    limit = f"\nlimit {surface.limit}" if surface.limit else ""
    page = {"any": "", "item": "\nbeside an item", "cart": "\nbeside a cart"}[surface.page]
    return f"[bold]{surface.name}[/bold]{page}{limit}"


def _words(stage: "Stage") -> str:
    """A stage and the settings that are its own."""
    import msgspec

    own = [f"{key} {value:g}" for key, value in msgspec.to_builtins(stage).items() if key != "name"]
    return f"{stage.name} [dim]({', '.join(own)})[/dim]" if own else stage.name
