"""Log to stderr, as text or as JSON lines.

In: the level and the format. Out: the configured `bulkload` logger. Secrets are never logged, so nothing is filtered.
"""

from __future__ import annotations

import json
import logging
import re
import sys

from bulkload import clock
from bulkload.files.printable import printable_line

_OTHER_LINE_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")  # and controls, which JSON does not need to escape


class TextLines(logging.Formatter):
    """One line per record, whatever its message contains; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format level and message."""
        return printable_line(f"{record.levelname}: {record.message}")


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format time, level, logger and message, and the traceback if there is one."""
        entry = {
            "time": clock.utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return _OTHER_LINE_BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(entry, ensure_ascii=False))


def log_line(message: str, level: int) -> bool:
    """If the format is JSON, log a message regardless of the log level; return False if the format is text."""
    log = logging.getLogger("bulkload")
    if not any(isinstance(handler.formatter, JsonLines) for handler in log.handlers):
        return False
    log.handle(log.makeRecord(log.name, level, __file__, 0, message, (), None))
    return True


def set_up(level: str, log_format: str) -> None:
    """Send the program's log to stderr; libraries are not logged."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    log = logging.getLogger("bulkload")
    log.handlers = [handler]
    log.setLevel(level.upper())
    log.propagate = False
