"""The edge around readers: what nobody expected becomes an error of the file, and nothing else changes."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from bulkload.cli.logs import JsonLines
from bulkload.errors import ApiError, ExitCode, InputError, Interrupted, StoreError, reading


class PanicException(BaseException):
    """As Rust libraries raise it."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("division by zero"), "division by zero (ZeroDivisionError)"),
        (KeyError(), "KeyError"),
        (OSError(36, "File name too long"), "File name too long"),
        (RecursionError("a\nb."), "a b (RecursionError)"),
        (MemoryError(), "there is not enough memory for it"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte (UnicodeDecodeError)"),
        (PanicException("index out of bounds"), "index out of bounds (PanicException)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unexpected_exception_is_an_input_error_that_names_the_file(error: BaseException, reason: str) -> None:
    with pytest.raises(InputError) as raised, reading("hosts.xlsx"):
        raise error
    assert str(raised.value).startswith("hosts.xlsx: this file cannot be read: ")
    assert str(raised.value).endswith(f"{reason}.")
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        InputError("a"),
        StoreError("b"),
        ApiError("c"),
        Interrupted(ExitCode.INTERRUPTED),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        DeprecationWarning("d"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_our_own_errors_and_the_end_of_the_process_pass_unchanged(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, reading("hosts.xlsx"):
        raise error
    assert raised.value is error


def test_the_traceback_is_logged_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "bulkload"), pytest.raises(InputError), reading("hosts.xlsx"):
        raise ZeroDivisionError
    (record,) = caplog.records
    assert "ZeroDivisionError" in caplog.text
    assert record.levelno == logging.DEBUG


def test_a_json_log_line_contains_the_traceback() -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        record = logging.LogRecord("bulkload", logging.DEBUG, __file__, 1, "message", None, sys.exc_info())
    assert "test_errors.py" in json.loads(JsonLines().format(record))["traceback"]
