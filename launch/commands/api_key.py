"""``daogou api-key``: a key for the HTTP API."""

from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def api_key(
    role: Annotated[str, typer.Argument(help="page (may only make visitors), server, or operator.")] = "server",
) -> None:
    """Make a key. It is shown once; the settings hold its hash.

    daogou api-key server
    """
    from secrets import token_urlsafe

    from storefront.access import Keyring, Role, entry_of, new_key

    if role not in Keyring._fields:
        raise typer.BadParameter(f"{role!r}; there are {', '.join(Keyring._fields)}", param_hint="ROLE")
    key = new_key(Role(role))
    typer.echo(f"key (keep it, it is not shown again): {key}")
    typer.echo(f"for DAOGOU_API__KEYS (a JSON list):   {entry_of(key)}")
    typer.echo(f"a DAOGOU_API__VISITOR_SECRET, once:   {token_urlsafe(32)}")
