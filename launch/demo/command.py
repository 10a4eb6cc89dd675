"""One of our own commands as a process of the demo: this Python, told where the servers are."""

import sys


def command_of(broker: str, redis_url: str, *words: str, **variables: str) -> tuple[str, ...]:
    """``daogou WORDS...`` with its addresses and further ``variables`` in the environment."""
    told = {"DAOGOU_KAFKA__BOOTSTRAP_SERVERS": broker, "DAOGOU_REDIS__URL": redis_url, **variables}
    return ("env", *(f"{name}={value}" for name, value in told.items()), sys.executable, "-m", "launch.cli", *words)
