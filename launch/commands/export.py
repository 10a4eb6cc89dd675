"""``daogou export``: a checkpoint in, a verified bundle out."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A folder that `daogou train` wrote.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder; an old one there is replaced.")] = Path("bundle"),
    name: Annotated[str, typer.Option(help="The bundle's name, for people.")] = "daogou",
) -> None:
    """Export to ONNX, compare with PyTorch, and seal the folder with its proof.

    Refused, with exit status 1 and no bundle, where ONNX Runtime and PyTorch disagree by more than 1e-3 on the golden
    batch or an edge case. The same checkpoint gives the same digest.
    """
    import logging
    import warnings

    from launch.training_extra import required

    required()
    from export.export import export_bundle
    from training.encoder import quiet

    quiet()
    warnings.filterwarnings("ignore", module="torch")
    warnings.filterwarnings("ignore", category=UserWarning)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    bundle = export_bundle(checkpoint, out, name, typer.echo)
    typer.echo(f"{out}: {bundle.digest}")
