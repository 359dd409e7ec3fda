"""Fixtures for the tests of readers."""

from __future__ import annotations

import pytest

from bulkload.readers import isolated, opening, workbook
from bulkload.readers.opening import SpreadsheetFormat


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read workbooks without a child process, which is the subject of `test_isolated`."""
    formats = (SpreadsheetFormat(isolated.recognises, workbook.open_workbook), opening.SPREADSHEET_FORMATS[1])
    monkeypatch.setattr(opening, "SPREADSHEET_FORMATS", formats)
