"""Logs: words for people or JSON for machines, on stderr, and no storms from clients whose server is away."""

import logging
import sys
from time import monotonic

import structlog

OURS = "daogou"
NOISY = ("aiokafka", "kafka", "faust", "mode")
SECONDS_APART = 0.5


class RateLimit(logging.Filter):
    """Of each noisy logger and level, a line every half second passes, and says how many did not.

    A client without a broker writes 40 a second. Loggers of others are not held back.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[tuple[str, int], float] = {}
        self._held: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line passes."""
        if record.name.partition(".")[0] not in NOISY:
            return True
        now, key = monotonic(), (record.name, record.levelno)
        if now < self._next.get(key, 0.0):
            self._held[key] = self._held.get(key, 0) + 1
            return False
        self._next[key] = now + SECONDS_APART
        if held := self._held.pop(key, 0):
            record.msg, record.args = f"{record.getMessage()} ({held} more lines held back)", ()
        return True


def configure(as_json: bool, level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's logging alike.

    Our lines go through the library's handler too: one that cannot be written (a closed pipe) never ends a worker.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: logging.getLogger(OURS),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(shared, as_json))
    handler.addFilter(RateLimit())
    logging.getLogger(OURS).setLevel(level)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its errors come back as exceptions, once
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _formatter(shared: list[structlog.typing.Processor], as_json: bool) -> logging.Formatter:
    last = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([structlog.processors.format_exc_info] if as_json else []),
            last,
        ],
    )
