"""Logs: words for people or JSON for machines, on stderr, and no storms from clients whose server is away."""

import logging
import sys
from time import monotonic

import structlog

NOISY = ("aiokafka", "kafka", "faust", "mode")
PER_SECOND = 2.0


class RateLimit(logging.Filter):
    """Lets two lines a second pass for each logger and level (a client without a broker writes 40)."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line passes."""
        now, key = monotonic(), (record.name, record.levelno)
        if now < self._next.get(key, 0.0):
            return False
        self._next[key] = now + 1.0 / PER_SECOND
        return True


def configure(as_json: bool, level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's logging alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta, last,
        ])
    )  # fmt: skip
    handler.addFilter(RateLimit())
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its errors come back as exceptions, once
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
