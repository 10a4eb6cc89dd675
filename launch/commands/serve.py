"""``daogou serve``: the HTTP API."""

from typing import Annotated

import typer

from launch.options import Broker, RedisUrl, settings_for

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    broker: Broker = "",
    redis: RedisUrl = "",
    host: Annotated[str, typer.Option(help="Address to listen on; default: DAOGOU_API__HOST.")] = "",
    port: Annotated[int | None, typer.Option(help="Port; default: DAOGOU_API__PORT.")] = None,
    shop: Annotated[bool, typer.Option("--shop", help="Serve the demo's shop page too (development).")] = False,
) -> None:
    """Serve the HTTP API until Ctrl-C or SIGTERM.

    Keys come from DAOGOU_API__KEYS (made by `daogou api-key`). In development without any, fresh ones are made and
    printed. GET /openapi.json describes everything; /health/live, /health/ready and /metrics need no key.

        daogou serve --shop      then open http://127.0.0.1:8080/shop/
    """
    from launch.logs import configure
    from launch.shopfront import build_window
    from storefront import server
    from storefront.app import build_app

    given = {"host": host or None, "port": port, "demo_shop": shop or None}
    settings = settings_for(broker, redis, {name: value for name, value in given.items() if value is not None})
    configure(settings.log_json)
    window = build_window(settings)
    if window.parts.fresh is not None:
        for role, key in window.parts.fresh._asdict().items():
            typer.echo(f"{role} key, good until this process ends: {key}")
    api = settings.api
    typer.echo(f"http://{api.host}:{api.port}/{'shop/' if api.demo_shop else 'openapi.json'}")
    server.serve(build_app(window), api)
