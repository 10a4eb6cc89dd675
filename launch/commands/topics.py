"""``daogou topics``: create, check, describe."""

import typer

from launch.options import Broker, Json, print_json, settings_for

app = typer.Typer(add_completion=False, help="The topics of contracts/topics.py in Kafka.", no_args_is_help=True)


@app.command()
def create(broker: Broker = "") -> None:
    """Create every topic that is missing. Those that exist stay as they are."""
    from streams.admin import create_topics

    made = create_topics(settings_for(broker).kafka)
    typer.echo(f"created {', '.join(made)}" if made else "all topics are there")


@app.command()
def check(broker: Broker = "") -> None:
    """Exit 1 with what is missing or differs from the table."""
    from streams.admin import check_topics

    typer.echo(f"{len(check_topics(settings_for(broker).kafka))} topics are as they should be")


@app.command()
def describe(broker: Broker = "", as_json: Json = False) -> None:
    """Show every topic: partitions, copies, how it is kept, and its epoch (another if it was re-created)."""
    from rich.console import Console
    from rich.table import Table

    from streams.admin import describe_topics

    states = describe_topics(settings_for(broker).kafka)
    if as_json:
        print_json(states)
        return
    table = Table("topic", "partitions", "copies", "kept", "retention ms", "epoch")
    for s in states:
        table.add_row(s.topic, str(s.partitions), str(s.replication), s.cleanup, s.retention_ms, s.epoch)
    Console().print(table)
