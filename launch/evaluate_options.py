"""Which options of ``daogou evaluate`` belong to which protocol, and what is wrong with what was asked."""

import typer

from training.log import Log

SPLITS = ("cold", "time-split", "leave-one-out")
REPLAY = "replay"
PROTOCOLS = (*SPLITS, REPLAY)
TRAINED = ("leave-one-out", "cold", REPLAY)

#: By the names of the command's parameters; what is not here belongs to all protocols.
ONLY_FOR = {
    "freshness": (REPLAY,), "first": (REPLAY,), "last": (REPLAY,), "surface": (REPLAY,), "one_in": (REPLAY,),
    "train": TRAINED, "any_memory": TRAINED, "whole": SPLITS, "bundle_only": SPLITS, "sasrec": SPLITS,
}  # fmt: skip


def check_options(context: typer.Context, protocol: str) -> None:
    """Raises: BadParameter, where the command line names an option that the protocol would not read."""
    if protocol not in PROTOCOLS:
        raise typer.BadParameter(f"{protocol!r}; there are {', '.join(PROTOCOLS)}", param_hint="--protocol")
    for parameter in context.command.params:
        fits = ONLY_FOR.get(parameter.name or "", PROTOCOLS)
        if protocol not in fits and _given(context, parameter.name or ""):
            raise typer.BadParameter(f"not for {protocol}; it is for {', '.join(fits)}", param_hint=parameter.opts[0])


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def say_refused(log: Log) -> None:
    """Name the rows that were left out, beside what is printed."""
    for line in log.refusals:
        typer.echo(line, err=True)


def check_preset(preset: str | None) -> None:
    """Raises: BadParameter, where there is no such preset."""
    from training.config import PRESETS

    if preset is not None and preset not in PRESETS:
        raise typer.BadParameter(f"{preset!r}; there are {', '.join(PRESETS)}", param_hint="--train")


def check_bundle(bundle: object, train: str | None, whole: int, bundle_only: bool) -> None:
    """Raises: BadParameter, where there are two bundles, or none where one is needed."""
    if train and bundle:
        raise typer.BadParameter("without --bundle", param_hint="--train")
    for said, option in ((whole, "--against-all"), (bundle_only, "--bundle-only")):
        if said and not (bundle or train):
            raise typer.BadParameter("for --bundle or --train", param_hint=option)
