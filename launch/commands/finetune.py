"""``daogou finetune``: labelled texts or ratings in, a measured bundle out."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.export_options import KeepSlow, Variants, precisions, quiet_export
from launch.options import AnyMemory, Device

if TYPE_CHECKING:
    from contracts.bundle import Bundle
    from launch.finetuning import Order

app = typer.Typer(add_completion=False)


class Wanted(Enum):
    """What is to be learned."""

    SENTIMENT = "sentiment"
    CATEGORY = "category"
    RATING = "rating"


@app.command()
def finetune(
    files: Annotated[list[Path], typer.Argument(help="Rows, *.jsonl[.gz]. For a rating: events, then items if any.")],
    task: Annotated[Wanted, typer.Option(help="What is to be learned.")] = Wanted.SENTIMENT,
    out: Annotated[Path, typer.Option(help="The bundle's folder; an old one there is replaced.")] = Path("head"),
    text: Annotated[str, typer.Option(help="The column of the text.")] = "text",
    label: Annotated[str, typer.Option(help="The column of the class. Without: label, or category.")] = "",
    time: Annotated[
        str, typer.Option(help="The column of the time; where all rows have one, they are split by it.")
    ] = "timestamp",
    stars: Annotated[
        bool, typer.Option("--stars", help="The label is stars: 4, 5 are 1; 1, 2 are 0; 3 is left out.")
    ] = False,
    positive: Annotated[str | None, typer.Option(help="The class whose precision and recall are asked for.")] = None,
    encoder: Annotated[Path | None, typer.Option(help="A local BERT-family folder, instead of one made here.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Most epochs; the best one on validation is kept.")] = 2,
    word_epochs: Annotated[int, typer.Option(min=0, help="To learn words first; only without --encoder.")] = 1,
    dim: Annotated[int, typer.Option(min=16, help="Width, a multiple of 16; only without --encoder.")] = 96,
    max_tokens: Annotated[int, typer.Option(min=8, help="A longer text is cut.")] = 128,
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="Without: 5e-4; 5e-5 with --encoder.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Keep the PyTorch weights here as well, for `daogou export`.")
    ] = None,
    variants: Variants = "",
    keep_slow: KeepSlow = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bundle; the split never changes.")] = 0,
    any_memory: AnyMemory = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
    device: Device = "auto",
) -> None:
    """Fine-tune a head on a text encoder: a class of a text, or the stars that a shopper gives an item.

    A tenth is chosen on, a tenth is measured on: the latest, where there are times; else by a hash of the text. Each
    text stands once. The figures are those of the exported ONNX file, beside plain answers from the same rows, and are
    written into the manifest. What the encoder adds to the plain answer (weights of character n-grams; the biases of
    shoppers and items) is kept as far as it is more than chance, so the bundle is the plain answer or better.

        daogou finetune reviews.jsonl.gz --task sentiment --out sentiment  then  daogou score-text sentiment texts.txt
        daogou finetune events.jsonl.gz items.jsonl.gz --task rating --out rating
    """
    from launch.training_extra import required

    required()

    from launch.bar import bar
    from launch.finetuning import Order
    from training.compute import chosen_device, prepare
    from training.config import EncoderSize
    from training.head import HeadPlan

    if dim % 16:
        raise typer.BadParameter(f"{dim} is no multiple of 16", param_hint="--dim")
    _check_places(out, checkpoint)
    quiet_export()
    prepare(found := chosen_device(device), threads)
    size = EncoderSize(dim=dim, vocabulary=6000, max_tokens=max_tokens, masked_epochs=word_epochs)
    with bar() as (say, step):
        plan = HeadPlan(seed=seed, epochs=epochs, learning_rate=learning_rate, device=found, encoder=size)
        order = Order(
            out, task.value, plan, say, encoder, checkpoint, precisions(variants), keep_slow, step, any_memory
        )
        bundle = _made(files, task, (text, label or _LABELS[task], time, stars), positive, order)
    _show(bundle)


_LABELS = {Wanted.SENTIMENT: "label", Wanted.CATEGORY: "category", Wanted.RATING: ""}


def _check_places(out: Path, checkpoint: Path | None) -> None:
    """Before anything is read. Raises: OutRefused."""
    from contracts.bundle import BUNDLE
    from contracts.whole_folder import check_replaceable
    from training.head import HEAD

    check_replaceable(out, BUNDLE)
    if checkpoint:
        check_replaceable(checkpoint, HEAD)


def _made(
    files: list[Path], task: Wanted, columns: tuple[str, str, str, bool], positive: str | None, order: "Order"
) -> "Bundle":
    from launch.finetuning import classify
    from launch.finetuning_rating import rate
    from training.labelled import Columns
    from training.log import read_log

    if task is not Wanted.RATING:
        return classify(files, Columns(*columns), positive, order)
    if len(files) > 2:
        raise typer.BadParameter("a rating takes one file of events and at most one of items", param_hint="FILES")
    return rate(read_log(files[0], files[1] if len(files) > 1 else None), order)


def _show(bundle: "Bundle") -> None:
    from launch.options import print_figures

    print_figures(bundle.manifest.training.metrics)
    typer.echo(f"{bundle.folder}: {bundle.digest}")
