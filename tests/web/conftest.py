"""Fixtures for the upload page: a running server, in this process or its own, and a browser that watches its pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkload.sandbox.server import Sandbox, running
from tests.support.browser import Browser, Pages, running_browser
from tests.support.command_line import FAST_SETTINGS
from tests.support.served import Serve
from tests.support.upload_page import UploadPage, upload_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; once for each file, because its driver's event loop would be in the way of tests that use asyncio."""
    with running_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Pages]:
    """Opens pages: `page = open_page(address, size=PHONE, dark=True, javascript=False)`."""
    pages = Pages(browser)
    yield pages
    pages.close()
    assert pages.faults == []


@pytest.fixture
def account() -> Iterator[Sandbox]:
    """The account that the server uses: a sandbox, empty and without faults."""
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def serve(tmp_path: Path, account: Sandbox) -> Iterator[Serve]:
    """Starts `bulkload serve` in a folder of its own: `server = serve()`, then `open_page(server.address)`."""
    folder = tmp_path / "served"
    folder.mkdir()
    credentials = {
        "ALERTSITE_BASE_URL": account.base_url,
        "ALERTSITE_USERNAME": account.options.user,
        "ALERTSITE_PASSWORD": account.options.password,
    }
    serve = Serve(folder=folder, logs=tmp_path, account={**FAST_SETTINGS, **credentials})
    yield serve
    serve.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[UploadPage]:
    """A server for this machine, with a random key."""
    with upload_page(tmp_path / "output") as page:
        yield page
