"""The Faust app as it is built: what must hold before anything is started."""

from typing import Any

import pytest
from faust.transport.drivers.aiokafka import server_list

from contracts.settings import load_settings
from streams.app import build_app
from streams.progress import Progress


class Nothing:
    """An agent's body that is never run."""

    async def run(self, stream: Any) -> None:
        raise AssertionError(stream)


@pytest.mark.parametrize(
    ("servers", "brokers"), [("one:9092", ["one:9092"]), ("one:9092, two:9093", ["one:9092", "two:9093"])]
)
def test_every_broker_is_known_to_the_consumer(servers: str, brokers: list[str]) -> None:
    settings = load_settings(kafka={"bootstrap_servers": servers})
    app = build_app(settings, Nothing(), Nothing(), Progress())  # type: ignore[arg-type]
    assert server_list(app.transport.url, app.transport.default_port) == brokers
