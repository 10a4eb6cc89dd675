"""Options that many commands share, and the settings that they make."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from contracts.settings import Settings
from contracts.surfaces import Surface, Surfaces

if TYPE_CHECKING:
    from contracts.bundle import Figure

Broker = Annotated[str, typer.Option(help="Kafka's host:port; default: DAOGOU_KAFKA__BOOTSTRAP_SERVERS.")]
RedisUrl = Annotated[str, typer.Option("--redis", help="redis://host:port/db; default: DAOGOU_REDIS__URL.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="Where PyTorch computes; auto: on the GPU, in bf16, if there is one."),
]
AnyMemory = Annotated[bool, typer.Option("--any-memory", help="Begin though memory may not be enough.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_for(broker: str = "", redis: str = "", api: dict[str, Any] | None = None) -> Settings:
    """The settings from the environment, with what the command line says before it. Raises: SettingsRefused."""
    from contracts.settings import load_settings

    given: dict[str, Any] = {}
    if broker:
        given["kafka"] = {"bootstrap_servers": broker}
    if redis:
        given["redis"] = {"url": redis}
    if api:
        given["api"] = api
    return load_settings(**given)


def known_surface(surfaces: Surfaces, name: str) -> Surface:
    """The surface of this name. Raises: BadParameter, naming those that there are."""
    surface = surfaces.get(name)
    if surface is None:
        raise typer.BadParameter(surfaces.unknown(name), param_hint="--surface")
    return surface


def print_figures(figures: "Sequence[Figure]") -> None:
    """One a line, the values in a column of their own."""
    width = max((len(figure.name) for figure in figures), default=0) + 2
    for figure in figures:
        typer.echo(f"  {figure.name:<{width}}{figure.value:g}")


def print_json(value: Any) -> None:
    """Structs, dates and plain values as indented JSON on stdout."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
