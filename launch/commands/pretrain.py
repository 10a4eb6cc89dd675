"""``daogou pretrain``: texts in, a text encoder's folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import AnyMemory, Device

if TYPE_CHECKING:
    from training.pretraining import Pretraining

LESS = "a smaller encoder (--start, --dim), fewer texts"

app = typer.Typer(add_completion=False)


@app.command()
def pretrain(
    texts: Annotated[list[Path], typer.Argument(help="Items or reviews as *.jsonl[.gz]; else one text a line.")],
    out: Annotated[
        Path, typer.Option(help="The encoder's folder, in Hugging Face's form; an old one is replaced.")
    ] = Path("encoder"),
    start: Annotated[Path | None, typer.Option(help="Go on from a local BERT-family folder. Without: new.")] = None,
    dim: Annotated[int, typer.Option(min=16, help="Width, a multiple of 16; only without --start.")] = 96,
    epochs: Annotated[int, typer.Option(min=1, help="Over the texts, to learn words.")] = 8,
    meaning_epochs: Annotated[
        int, typer.Option(min=0, help="Over the texts, for what they are about; only without --start.")
    ] = 10,
    pair_epochs: Annotated[int, typer.Option(min=1, help="Over the pairs, to know products.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same encoder.")] = 0,
    any_memory: AnyMemory = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
    device: Device = "auto",
) -> None:
    """Pretrain a text encoder on your own catalogue and reviews.

    First it guesses hidden words (masked-language modelling); a new one then learns what each text is about, from which
    words come together (latent semantics); then which two texts belong to one product (same item_id). A tenth of the
    products is held out; perplexity and pair accuracy on it are printed before and after, beside plain answers, and
    written to OUT/pretraining.json. Perplexities of two different tokenizers cannot be compared.

        daogou pretrain items.jsonl.gz reviews.jsonl.gz --out encoder
        then  daogou train events.jsonl.gz items.jsonl.gz --encoder encoder
    """
    from launch.training_extra import required

    required()

    from contracts.whole_folder import check_replaceable
    from launch.bar import bar
    from training.compute import chosen_device, prepare
    from training.config import EncoderSize
    from training.encoder import quiet
    from training.encoder_memory import pretraining_needs
    from training.memory import available_memory, check_memory
    from training.pretraining import PRETRAINED, pretrain_folder
    from training.texts import read_texts

    if dim % 16:
        raise typer.BadParameter(f"{dim} is no multiple of 16", param_hint="--dim")
    check_replaceable(out, PRETRAINED)
    quiet()
    found = prepare(chosen_device(device), threads)
    size = EncoderSize(dim=dim, masked_epochs=epochs, meaning_epochs=meaning_epochs, contrastive_epochs=pair_epochs)
    said = read_texts(texts)
    if not any_memory:
        check_memory(pretraining_needs(said, size, start), available_memory(), LESS)
    with bar() as (say, step):
        report = pretrain_folder(said, out, size, seed, say, start, found, step)
    typer.echo(f"{out}: {report.texts:,} texts, {report.pairs:,} pairs; {report.held_out_texts:,} texts held out")
    for line in _figures(report):
        typer.echo(line)


def _figures(report: "Pretraining") -> tuple[str, str]:
    """Before and after, beside plain answers."""
    (words, pairs), (words_after, pairs_after), (plain_words, plain_pairs) = (
        (_shown(held.perplexity), _shown(held.pair_accuracy)) for held in (report.before, report.after, report.plain)
    )
    among = f"among {report.rivals} held-out pairs"
    return (
        f"perplexity {words} -> {words_after}; by how often each word is: {plain_words}",
        f"pair accuracy {pairs} -> {pairs_after} {among}; by the words that they share: {plain_pairs}",
    )


def _shown(figure: float | None) -> str:
    return "(nothing held out)" if figure is None else f"{figure:.3f}"
