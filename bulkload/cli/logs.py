"""Logs on stderr, as text or as JSON lines.

In: the level and the format. Out: the `bulkload` logger set up. Secrets never reach a log call, so nothing is filtered.
"""

from __future__ import annotations

import json
import logging
import sys

from bulkload import clock


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Give time, level, logger and message."""
        found = {
            "time": clock.utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(found, ensure_ascii=False)


def log_line(message: str, level: int) -> bool:
    """Log a message, whatever the log level, if the format is JSON; returns False if it is text."""
    log = logging.getLogger("bulkload")
    if not any(isinstance(handler.formatter, JsonLines) for handler in log.handlers):
        return False
    log.handle(log.makeRecord(log.name, level, __file__, 0, message, (), None))
    return True


def set_up(level: str, style: str) -> None:
    """Send the program's logs to stderr; other libraries' stay silent."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else logging.Formatter("%(levelname)s: %(message)s"))
    log = logging.getLogger("bulkload")
    log.handlers = [handler]
    log.setLevel(level.upper())
    log.propagate = False
