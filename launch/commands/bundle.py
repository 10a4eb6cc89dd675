"""``daogou bundle``: verify a model folder, or show what is in it."""

from pathlib import Path
from typing import Annotated

import typer

from launch.options import Json, print_figures, print_json

app = typer.Typer(
    add_completion=False,
    help="Bundles: immutable model folders with the proof that they are right.",
    no_args_is_help=True,
)

Folder = Annotated[Path | None, typer.Argument(help="The bundle; default: the one that the settings name.")]


def _opened(folder: Path | None) -> "Bundle":  # type: ignore[name-defined]  # noqa: F821  loaded where it is used
    from contracts.bundle import open_bundle
    from contracts.errors import BundleRefused
    from contracts.settings import load_settings
    from launch.wiring import find_bundle

    found = open_bundle(folder) if folder else find_bundle(load_settings().model)
    if found is None:
        raise BundleRefused("no bundle: name a folder, or set DAOGOU_MODEL__BUNDLE")
    return found


@app.command()
def verify(folder: Folder = None) -> None:
    """Check every file against the manifest. Exit status 1 names the file that differs."""
    bundle = _opened(folder)
    typer.echo(f"{bundle.folder}: {len(bundle.manifest.files)} files as the manifest says\n{bundle.digest}")


def _what(manifest: "Manifest") -> str:  # type: ignore[name-defined]  # noqa: F821  loaded where it is used
    facts = manifest.training
    if manifest.kind == "encoder":
        return f"a text encoder: {manifest.text_dim} dimensions, at most {manifest.max_tokens} tokens"
    if manifest.kind == "classifier":
        return f"a classifier ({', '.join(manifest.heads)}) trained on {facts.events:,} texts, seed {facts.seed}"
    trained = f"trained on {facts.events:,} events of {facts.shoppers:,} shoppers, {facts.items:,} items, "
    says = "" if manifest.kind == "regressor" else f"; says {', '.join(manifest.heads)}"
    return f"{'a regressor ' if manifest.kind == 'regressor' else ''}{trained}seed {facts.seed}{says}"


def _proof(parity: "Parity | None") -> tuple[str, ...]:  # type: ignore[name-defined]  # noqa: F821  loaded where used
    if parity is None:
        return ("", "", "", "")
    worst = "" if parity.worst_top10_kept is None else f"{parity.worst_top10_kept:.0%}"
    return (
        f"{parity.max_abs_difference:.1e}", f"{parity.rank_correlation:.4f}", f"{parity.top10_kept:.0%}", worst
    )  # fmt: skip


@app.command()
def show(folder: Folder = None, as_json: Json = False) -> None:
    """Show what it was trained on, how good it is, how near ONNX is to PyTorch, and what made it."""
    from rich.console import Console
    from rich.table import Table

    bundle = _opened(folder)
    manifest = bundle.manifest
    if as_json:
        print_json(manifest)
        return
    typer.echo(f"{manifest.name}  {bundle.digest}")
    typer.echo(_what(manifest))
    print_figures(manifest.training.metrics)
    table = Table("file", "bytes", "max difference", "rank correlation", "top 10 kept", "worst case")
    parities = {parity.file: parity for parity in manifest.parity}
    for entry in manifest.files:
        table.add_row(entry.name, f"{entry.bytes:,}", *_proof(parities.get(entry.name)))
    Console().print(table)
