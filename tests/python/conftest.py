"""Fixtures for the tests of the Python API: an account, and a folder without any settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import bulkload as bl
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import FAST_SETTINGS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one, and no settings but those that make tests fast."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ALERTSITE_", "BULKLOAD_")):
            monkeypatch.delenv(name)
    for name, value in FAST_SETTINGS.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log as it is after `import bulkload`; the command line sets it up in its own way."""
    logger = logging.getLogger("bulkload")
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "level", logging.NOTSET)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """A server with an empty account and no faults."""
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def account(server: Sandbox) -> bl.Account:
    """The account of that server."""
    return bl.Account(username=server.options.user, password=server.options.password, base_url=server.base_url)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three good rows with an index of texts."""
    return hosts("a", "b", "c")


def hosts(*names: str, **columns: object) -> pd.DataFrame:
    """A frame with one good row per name, whose index is the name in capitals."""
    rows = {
        "type": "imap",
        "name": list(names),
        "hostname": "mx1.example.com",
        "port": 993,
        "billing_plancode": "UBM - A/A",
    }
    return pd.DataFrame(rows | columns, index=pd.Index([name.upper() for name in names], name="host"))
