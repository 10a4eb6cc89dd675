"""``daogou up``: the embedded cluster in the foreground."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def up(
    folder: Annotated[Path, typer.Option(help="Where the data lies; it survives a restart.")] = Path(".daogou"),
    temporary: Annotated[bool, typer.Option("--temporary", help="A folder that is gone afterwards.")] = False,
) -> None:
    """Run the real Apache Kafka and the real Valkey on this machine's loopback until Ctrl-C.

    For development: one node, no encryption, no login. It creates the topics and prints the two addresses to export
    before `daogou worker` in another terminal. On another machine's broker, nothing of this is needed.
    """
    import signal

    from contracts.settings import load_settings
    from launch.embedded.cluster import NOTICE, Cluster
    from streams.admin import create_topics

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    base = load_settings()
    with Cluster.start(None if temporary else folder, base.embedded, typer.echo) as cluster:
        try:
            create_topics(load_settings(**cluster.overrides()).kafka)
            typer.echo(f"\n{NOTICE}\n\n  export DAOGOU_KAFKA__BOOTSTRAP_SERVERS={cluster.bootstrap_servers}")
            typer.echo(f"  export DAOGOU_REDIS__URL={cluster.redis_url}\n\nCtrl-C stops both.")
            cluster.wait()
        except KeyboardInterrupt:
            typer.echo("stopping")
