"""``daogou score-text``: texts in, a line of JSON for each out, by a classifier's or a regressor's bundle."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def score_text(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `daogou finetune` wrote.")],
    file: Annotated[Path, typer.Argument(help="*.jsonl[.gz]: rows with `text` (and `beside`); else one text a line.")],
) -> None:
    """Score texts: a class and its probability, or a rating.

    A rating reads an item's text (`text`) beside what the shopper met (`beside`, with ` ; ` between the items'
    texts); it is that of nobody in particular: no shopper's and no item's bias is added.
    """
    import sys

    from contracts.bundle import open_bundle
    from contracts.settings import load_settings
    from launch.text_scores import scored

    for line in scored(open_bundle(bundle), file, load_settings().model):
        sys.stdout.buffer.write(line + b"\n")
