"""What the commands that export have in common: which precisions, and the silence of PyTorch meanwhile."""

from typing import Annotated

import typer

from contracts.precision import Precision

Variants = Annotated[str, typer.Option(help="Further precisions, with commas: fp16,int8. fp32 is always there.")]
KeepSlow = Annotated[
    bool, typer.Option("--keep-slow", help="Keep int8 where it is no faster on this machine, to serve on another.")
]


def precisions(names: str) -> tuple[Precision, ...]:
    """What `--variants` names. Raises: BadParameter, for what is no precision."""
    known = {p.value: p for p in Precision if p is not Precision.FP32}
    found = dict.fromkeys(name.strip() for name in names.split(",") if name.strip() not in ("", "fp32"))
    wrong = [name for name in found if name not in known]
    if wrong:
        raise typer.BadParameter(f"{', '.join(wrong)}: known are {', '.join(known)}", param_hint="--variants")
    return tuple(known[name] for name in found)


def quiet_export() -> None:
    """What PyTorch says while it exports is for its developers."""
    import logging
    import warnings

    from training.encoder import quiet

    quiet()
    warnings.filterwarnings("ignore", module="torch")
    warnings.filterwarnings("ignore", category=UserWarning)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
