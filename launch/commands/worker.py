"""``daogou worker``: one worker process."""

from typing import TYPE_CHECKING

import typer

from launch.options import Broker, RedisUrl, settings_for

if TYPE_CHECKING:
    from contracts.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def worker(broker: Broker = "", redis: RedisUrl = "") -> None:
    """Run one worker until Ctrl-C or SIGTERM: it drains what it has in hand, then ends.

    Start as many as the clickstream has partitions; Kafka shares the work among them. Everything else is a setting
    (DAOGOU_STREAM__BATCH, DAOGOU_MODEL__BUNDLE, ...). Exit status: 0 drained, 1 refused at start, 70 stuck.
    """
    import asyncio

    import uvloop

    from contracts.surface_file import load_surfaces
    from launch.logs import configure
    from streams.preflight import check_worker

    settings = settings_for(broker, redis)
    configure(settings.log_json)
    load_surfaces(settings.surfaces)  # what is wrong in a file is said before any server is asked
    check_worker(settings)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # first thing: Faust's consumer thread makes its loop by it
    asyncio.run(_run(settings))


async def _run(settings: "Settings") -> None:
    import os
    import sys

    from contracts.metrics import Metrics
    from launch.health import Health
    from launch.wiring import build_worker
    from streams.watchdog import EXIT_STUCK

    metrics = Metrics()
    running = build_worker(settings, metrics)
    if settings.stream.metrics_port:
        stream = settings.stream
        Health(stream.metrics_port, metrics.registry, running.ready.is_set, stream.metrics_host)
    try:
        await running.run()
    finally:
        if running.overdue:  # its tasks would keep the event loop, and so the process, from ending
            sys.stderr.flush()
            os._exit(EXIT_STUCK)
