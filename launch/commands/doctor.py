"""``daogou doctor``: what is wrong with this machine, the settings and the servers, and what to do."""

import typer

from launch.options import Broker, Json, RedisUrl, print_json, settings_for

app = typer.Typer(add_completion=False)


@app.command()
def doctor(broker: Broker = "", redis: RedisUrl = "", as_json: Json = False) -> None:
    """Look at everything that daogou needs, one line each; exit 1 if anything is wrong.

    Settings, the one ONNX Runtime, the bundle, Kafka and its topics, records that were deleted before they were read,
    Redis and its append-only file.
    """
    from rich.console import Console
    from rich.table import Table

    from launch.diagnosis import diagnose

    findings = diagnose(settings_for(broker, redis))
    if as_json:
        print_json(findings)
    else:
        table = Table("", "what", "finding", box=None)
        for finding in findings:
            table.add_row("[green]ok" if finding.ok else "[red]wrong", finding.what, finding.says)
        Console().print(table)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)
