"""A real browser for the tests of the upload page: Debian's Chromium, driven by Playwright.

In: addresses. Out: pages that are watched: an error in the console, an exception of a script, a violation of the
content security policy or a request to another origin fails the test.

Playwright's driver runs an event loop in the thread of the test, so such a test cannot run the command line or anything
else with asyncio in its own process: use `serve` and other processes.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import TIMEOUT

try:
    from playwright.sync_api import Browser, BrowserContext, JSHandle, Page, ViewportSize, expect, sync_playwright
except ImportError:  # the fixtures skip their tests then
    if not TYPE_CHECKING:
        Browser = JSHandle = Page = expect = sync_playwright = None

__all__ = ["DESKTOP", "PHONE", "Browser", "JSHandle", "Page", "Pages", "axe_faults", "expect", "running_browser"]

REQUIRED = "BULKLOAD_BROWSER_TESTS"  # "required" makes a missing program a failure instead of a skip
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (  # no request of the browser's own, and no other host can be reached
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
INNER = ("about", "blob", "data")  # schemes that reach no server

AXE = "axe-core@4.14.1"  # npm pack axe-core@4.14.1 --pack-destination .venv
AXE_FILE = ROOT / ".venv" / f"{AXE.replace('@', '-')}.tgz"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="  # as npm has it


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where the tests in a browser are required."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{what}, and {REQUIRED} is set", pytrace=False)
    pytest.skip(what)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if sync_playwright is None:
        missing("playwright is not installed")
    if CHROMIUM is None:
        missing("chromium is not installed")
    with sync_playwright() as playwright:
        expect.set_options(timeout=1000 * TIMEOUT)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Pages:
    """Opens pages, each with a profile of its own, and records what must not happen in any of them."""

    browser: Browser
    faults: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list, init=False)

    def __call__(
        self,
        address: str = "",
        *,
        size: ViewportSize = DESKTOP,
        dark: bool = False,
        javascript: bool = True,
        allow: str | None = None,
        **options: Any,
    ) -> Page:
        """Open an address in a new profile, without cookies.

        `size` is DESKTOP or PHONE. `allow` is a regular expression for faults that are meant to happen. Other options
        are those of Playwright's `Browser.new_context`. Further tabs of the profile (`page.context.new_page()`) are
        watched, too. The origin of the first request is the only one that the profile may use.
        """
        context = self.browser.new_context(
            viewport=size,
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=javascript,
            **options,
        )
        context.set_default_timeout(1000 * TIMEOUT)
        self._contexts.append(context)
        self._watch(context, re.compile(allow) if allow else None)
        page = context.new_page()
        if address:
            page.goto(address)
        return page

    def _watch(self, context: BrowserContext, allowed: re.Pattern[str] | None) -> None:
        origins: list[tuple[str, str]] = []

        def record(fault: str) -> None:
            if allowed is None or not allowed.search(fault):
                self.faults.append(fault)

        def check_origin(url: str) -> None:
            scheme, host = urlsplit(url)[:2]
            if scheme in INNER:
                return
            origins.append((scheme, host))
            if origins[0] != (scheme, host):
                record(f"request to another origin: {url}")

        context.on("request", lambda request: check_origin(request.url))
        context.on("weberror", lambda error: record(f"exception: {error.error}"))
        context.on(  # violations of the content security policy are errors in the console
            "console",
            lambda message: (
                record(f"console: {message.text} ({message.location['url']})")
                if message.type in ("error", "warning")
                else None
            ),
        )

    def close(self) -> None:
        """Close all profiles; faults that the browser reports late are recorded before."""
        for context in self._contexts:
            for page in context.pages:
                page.title()  # answered after the events that came before
            context.close()


@dataclass(frozen=True, slots=True)
class AxeFault:
    """A rule of axe-core that a page breaks, and where."""

    rule: str
    impact: str
    help: str
    elements: tuple[str, ...]


def axe_faults(page: Page) -> list[AxeFault]:
    """All faults of accessibility that axe-core finds in the page as it is now, of every impact and every rule set."""
    page.evaluate(f"() => {{ {_axe_source()} }}")  # by the debugger, which no content security policy concerns
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        AxeFault(
            rule=violation["id"],
            impact=violation["impact"],
            help=violation["help"],
            elements=tuple(node["html"] for node in violation["nodes"]),
        )
        for violation in found["violations"]
    ]


@cache
def _axe_source() -> str:
    if not AXE_FILE.is_file():
        missing(f"axe-core is not installed (npm pack {AXE} --pack-destination .venv)")
    packed = AXE_FILE.read_bytes()
    assert hashlib.sha512(packed).digest() == b64decode(AXE_SHA512), f"{AXE_FILE.name} is not npm's"
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        script = package.extractfile("package/axe.min.js")
        assert script
        return script.read().decode("utf-8")
