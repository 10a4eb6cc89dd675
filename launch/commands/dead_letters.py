"""``daogou dead-letters``: what could not be processed, and its way back."""

from typing import Annotated

import typer

from launch.options import Broker, Json, print_json, settings_for

app = typer.Typer(
    add_completion=False,
    help="What could not be processed: key, value and headers as they came, and why.",
    no_args_is_help=True,
)

Limit = Annotated[int, typer.Option(min=1, help="Most letters to read, the newest.")]
At = Annotated[str, typer.Argument(help="PARTITION/OFFSET of the letter, as `list` shows it.")]


@app.command("list")
def list_(broker: Broker = "", limit: Limit = 50, as_json: Json = False) -> None:
    """List the newest letters: where they lie, why they are there, where they came from."""
    from rich.console import Console
    from rich.table import Table

    from streams.letters import read_letters

    letters = read_letters(settings_for(broker), limit)
    if as_json:
        print_json([{"at": at, "letter": letter} for at, letter in letters])
        return
    table = Table("at", "reason", "from", "key", "bytes", "message")
    for at, letter in letters:
        key = (letter.key or b"").decode(errors="replace")[:40]
        source = f"{letter.topic}/{letter.partition}/{letter.offset}"
        table.add_row(at, letter.reason.value, source, key, str(len(letter.value or b"")), letter.message[:80])
    Console().print(table)


@app.command()
def show(at: At, broker: Broker = "", as_json: Json = False) -> None:
    """Show one letter whole. Bytes that are no text are shown escaped."""
    from streams.letters import read_letter

    letter = read_letter(settings_for(broker), at)
    if as_json:
        print_json(letter)
        return
    source = f"{letter.topic}/{letter.partition}/{letter.offset}"
    for name, value in (
        ("reason", letter.reason.value), ("message", letter.message), ("from", source), ("key", repr(letter.key)),
        ("attempts", letter.attempts), ("value", repr(letter.value)),
    ):  # fmt: skip
        typer.echo(f"{name:<9}{value}")


@app.command()
def redrive(
    at: Annotated[list[str], typer.Argument(help="PARTITION/OFFSET of each letter to send back.")],
    broker: Broker = "",
) -> None:
    """Send letters back to the topic that they came from, key and value as they were, after mending the cause.

    They come back as dead letters with one attempt more if the cause is still there.
    """
    import asyncio

    from streams.letters import read_letter, send_back

    settings = settings_for(broker)
    letters = [read_letter(settings, each) for each in at]
    asyncio.run(send_back(settings, letters))
    typer.echo(f"sent {len(letters)} back")
