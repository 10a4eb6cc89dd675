"""``daogou export``: a checkpoint or a text encoder in, a verified bundle out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.precision import Precision
from launch.export_options import KeepSlow, Variants, precisions, quiet_export

if TYPE_CHECKING:
    from contracts.bundle import Bundle

app = typer.Typer(add_completion=False)


@app.command()
def export(
    folder: Annotated[
        Path,
        typer.Argument(
            help="What `daogou train` or `finetune --checkpoint` wrote, or a text encoder (Hugging Face, "
            "sentence-transformers)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The bundle's folder; an old one there is replaced.")] = Path("bundle"),
    name: Annotated[str, typer.Option(help="The bundle's name, for people.")] = "daogou",
    variants: Variants = "",
    keep_slow: KeepSlow = False,
) -> None:
    """Export to ONNX, compare with PyTorch, and seal the folder with its proof.

    What the folder is, it says itself: `checkpoint.json` is a checkpoint of ours; `head.json` is what
    `daogou finetune --checkpoint` kept, without the figures of its test texts, which are not in it; `modules.json`
    (sentence-transformers: transformer, pooling by mean or cls, normalisation or none) or `config.json` (Hugging Face:
    bert, distilbert, roberta, mpnet; mean, of unit length) is a text encoder, which becomes one ONNX file with its
    tokenizer. Weights are read from *.safetensors, never from pickles.

    Refused, with exit status 1 and no bundle, where ONNX Runtime and PyTorch disagree by more than 1e-3 on the golden
    batch or an edge case. A variant must keep the order instead (the top 10 and the rank correlation); where it does
    not, it is left out of the bundle, and so is int8 where it does not pay here; either is said. Serve a variant with
    DAOGOU_MODEL__PRECISION=int8. The same folder gives the same digest; with int8, where the same graphs pay, or with
    --keep-slow.
    """
    from contracts.bundle import BUNDLE
    from contracts.whole_folder import check_replaceable
    from launch.training_extra import required

    wanted = precisions(variants)
    check_replaceable(out, BUNDLE)
    required()
    quiet_export()
    bundle = _exported(folder, out, name, wanted, keep_slow)
    typer.echo(f"{out}: {bundle.digest}")


def _exported(folder: Path, out: Path, name: str, variants: tuple[Precision, ...], keep_slow: bool) -> "Bundle":
    from export.encoders import export_encoder
    from export.export import export_bundle
    from export.folders import kind_of
    from export.heads import export_head

    kind = kind_of(folder)
    if kind == "encoder":
        return export_encoder(folder, out, name, variants, typer.echo, keep_slow)
    if kind == "head":
        return export_head(folder, out, name, typer.echo, variants, keep_slow=keep_slow)
    return export_bundle(folder, out, name, typer.echo, variants, keep_slow)
