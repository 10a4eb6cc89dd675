"""``daogou lag``: how far the workers are behind."""

import typer

from launch.options import Broker, Json, print_json, settings_for

app = typer.Typer(add_completion=False)


@app.command()
def lag(broker: Broker = "", as_json: Json = False) -> None:
    """Show each partition's offsets: what is there, what the workers have committed, what is left.

    A gap counts records that Kafka deleted before the workers had read them.
    """
    from msgspec.structs import asdict
    from rich.console import Console
    from rich.table import Table

    from streams.admin import lag as lag_of

    settings = settings_for(broker)
    parts = lag_of(settings.kafka, settings.stream.group)
    if as_json:
        print_json([asdict(part) | {"lag": part.lag, "gap": part.gap} for part in parts])
        return
    table = Table("partition", "earliest", "latest", "committed", "lag", "gap")
    for p in parts:
        table.add_row(*(str(v) for v in (p.partition, p.earliest, p.latest, p.committed, p.lag, p.gap)))
    table.add_section()
    table.add_row("all", "", "", "", str(sum(p.lag for p in parts)), str(sum(p.gap for p in parts)))
    Console().print(table)
