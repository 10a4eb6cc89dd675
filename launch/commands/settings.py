"""``daogou settings``: what can be set, and what is."""

from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def settings(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The docs' page, with the defaults.")] = False,
) -> None:
    """Show every setting: its variable, what is in force here, and what it means. Secrets are not shown."""
    from rich.console import Console
    from rich.table import Table

    from contracts.settings import load_settings
    from launch.settings_page import lines, markdown

    found = load_settings()
    if as_markdown:
        typer.echo(markdown(found), nl=False)
        return
    table = Table("variable", "in force", "meaning")
    for _, rows in lines(found):
        for row in rows:
            table.add_row(row.variable, row.now if row.now == row.default else f"[bold]{row.now}[/bold]", row.meaning)
    Console().print(table)
