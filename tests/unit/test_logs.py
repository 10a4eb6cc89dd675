"""Logs: one line a message in either form, storms held back and counted, the rest untouched."""

import json
import logging
import subprocess
import sys

import pytest

from launch.logs import RateLimit

PROGRAM = """
import logging, sys, structlog
from launch.logs import configure
configure(as_json=sys.argv[1] == "json")
structlog.get_logger().info("ours", items=3)
for number in range(100):
    logging.getLogger("aiokafka.conn").error("no broker %d", number)
    logging.getLogger("theirs").error("line %d", number)
logging.getLogger("kafka.conn").error("said by an exception already")
logging.getLogger("theirs").info("too quiet")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("broke")
    logging.getLogger("theirs").exception("broke too")
"""


def said(form: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_is_one_object_a_line() -> None:
    lines = [json.loads(line) for line in said("json")]
    assert lines[0].items() >= {"event": "ours", "items": 3, "level": "info"}.items()
    events = [line["event"] for line in lines]
    assert [event for event in events if event.startswith("no broker")] == ["no broker 0"]
    assert len([event for event in events if event.startswith("line")]) == 100
    assert not [event for event in events if "already" in event or "quiet" in event]
    assert [line["event"] for line in lines if "ZeroDivisionError" in line.get("exception", "")] == [
        "broke",
        "broke too",
    ]


def test_a_closed_pipe_ends_nothing() -> None:
    cut = "\nimport os\nend, pipe = os.pipe()\nos.close(end)\nos.dup2(pipe, 2)"
    ending = f"{cut}\nstructlog.get_logger().info('nobody hears it')\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", PROGRAM + ending, "json"], capture_output=True, text=True, check=True)
    assert done.stdout == "alive\n"


def test_words_for_people_have_no_colours_in_a_file() -> None:
    first = said("words")[0]
    assert "ours" in first
    assert "items=3" in first
    assert "\x1b" not in first


def test_what_was_held_back_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("launch.logs.monotonic", lambda: now[0])
    limit = RateLimit()

    def line(logger: str = "aiokafka.conn", level: int = logging.ERROR) -> logging.LogRecord:
        return logging.LogRecord(logger, level, __file__, 1, "away: %s", ("x",), None)

    assert [limit.filter(line()) for _ in range(4)] == [True, False, False, False]
    assert limit.filter(line(level=logging.WARNING)), "another level is another matter"
    now[0] += 1.0
    passed = line()
    assert limit.filter(passed)
    assert passed.getMessage() == "away: x (3 more lines held back)"
    now[0] += 1.0
    later = line()
    assert limit.filter(later)
    assert later.getMessage() == "away: x"
    assert all(limit.filter(line("kafkaesque")) for _ in range(5)), "only the loggers of the table"
