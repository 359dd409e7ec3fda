"""What the other tests of the upload page rely on: watched pages fail, and a server that ends badly fails, too."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import DESKTOP, PHONE, Browser, Pages, axe_faults, expect, missing
from tests.support.command_line import ApiRequest, FakeResponse, fake_api
from tests.support.served import Serve

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
HEAD = '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>T</title>'
IMAGE = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
SCRIPTS = {
    "/fetch.js": "fetch('http://localhost:1/elsewhere').catch(() => 0)",
    "/fine.js": "document.querySelector('main').append('added')",
    "/log.js": "console.error('out of order')",
    "/throw.js": "throw new Error('out of order')",
}
SERVER = """
import asyncio
import signal
import sys

from aiohttp import web

async def health(request):
    return web.Response()

async def start(request):
    icon = '<link rel="icon" href="data:,">'  # without it, browsers ask for /favicon.ico
    return web.Response(text=icon + "key " + request.query["key"], content_type="text/html")

async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/", start)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(sys.argv[-1]))
    await site.start()
    print("Open http://127.0.0.1:%d/?key=k in a browser" % runner.addresses[0][1], flush=True)
    await ended.wait()
    await runner.cleanup()
    return CODE

sys.exit(asyncio.run(main()))
"""


@contextmanager
def site(main: str) -> Iterator[str]:
    """The address of a page with this content, with the policy of the upload page."""

    def answer(request: ApiRequest) -> FakeResponse:
        script = SCRIPTS.get(request.path)
        return FakeResponse(
            status=404 if request.path == "/missing.css" else 200,
            content=script or f"{HEAD}<main>{main}</main>",
            content_type="text/javascript" if script else "text/html",
            headers={"Content-Security-Policy": POLICY},
        )

    with fake_api(answer) as server:
        yield server.base_url + "/page"


def test_a_page_without_faults_is_shown_with_the_options(open_page: Pages) -> None:
    with site(
        '<script src="fine.js"></script><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="">'
    ) as address:
        for size in (DESKTOP, PHONE):
            for dark in (False, True):
                for javascript in (True, False):
                    page = open_page(address, size=size, dark=dark, javascript=javascript)
                    expect(page.locator("main")).to_have_text("added" if javascript else "")
                    assert page.evaluate("[innerWidth, innerHeight]") == [*size.values()]
                    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark


FAULTS = {  # content of a page → what is recorded
    '<p style="color: red">': "console: .*style",
    '<link rel="stylesheet" href="missing.css">': "console: .*404",
    '<img src="http://localhost:1/" alt="">': "(console|another origin): .*http://localhost:1/",
}
FAULTS_OF_SCRIPTS = {
    '<script src="log.js"></script>': "console: out of order",
    '<script src="throw.js"></script>': "exception: out of order",
    "<script>1</script>": "console: .*script",
    '<script src="fetch.js"></script>': "(console|exception|another origin): .*http://localhost:1/elsewhere",
}


@pytest.mark.parametrize(
    ("main", "fault", "javascript"),
    [
        *((main, fault, True) for main, fault in (FAULTS | FAULTS_OF_SCRIPTS).items()),
        *((main, fault, False) for main, fault in FAULTS.items()),
    ],
)
def test_a_fault_in_any_tab_is_recorded(browser: Browser, main: str, fault: str, javascript: bool) -> None:
    with site(main) as address:
        watched, excused = Pages(browser), Pages(browser)
        watched(javascript=javascript).context.new_page().goto(address)
        excused(address, allow=fault)
        for pages in (watched, excused):
            pages.close()
    assert any(re.search(fault, found) for found in watched.faults), watched.faults
    assert excused.faults == []


def test_a_form_that_leads_to_another_origin_is_recorded(browser: Browser) -> None:
    pages = Pages(browser)
    with site("") as other, site(f'<a href="{other}">') as address:
        page = pages(address)
        page.locator("a").evaluate("link => link.click()")
        page.wait_for_url(other)
        pages.close()
    assert pages.faults == [f"request to another origin: {other}"]


def test_axe_finds_faults_despite_the_policy(open_page: Pages) -> None:
    with site(f'<h1>Upload</h1><img src="{IMAGE}">') as address:
        page = open_page(address)
        (fault,) = axe_faults(page)
        assert (fault.rule, fault.impact) == ("image-alt", "critical")
        page.locator("img").evaluate("image => image.alt = 'logo'")
        assert axe_faults(page) == []


@pytest.fixture
def small_server(serve: Serve) -> Serve:
    """A small server in place of `bulkload serve`."""
    serve.command = (sys.executable, "-c", SERVER.replace("CODE", "0"), "0")
    return serve


def test_a_server_can_be_killed_and_started_again_at_its_address(small_server: Serve, open_page: Pages) -> None:
    server = small_server()
    page = open_page(server.address)
    expect(page.locator("body")).to_have_text("key k")
    server.kill()
    assert server.process.returncode == -signal.SIGKILL
    assert not server.is_healthy()
    again = small_server(urlsplit(server.address).port)
    assert again.address == server.address
    page.reload()
    expect(page.locator("body")).to_have_text("key k")
    again.stop()
    assert again.process.returncode == 0


def test_a_server_that_ends_with_another_code_fails_the_test(serve: Serve) -> None:
    serve.command = (sys.executable, "-c", SERVER.replace("CODE", "3"), "0")
    server = serve()
    with pytest.raises(AssertionError, match="exit code 3 after SIGTERM"):
        serve.close()
    assert server.process.returncode == 3


@pytest.mark.parametrize(
    "code", ["import sys; sys.exit('cannot bind')", "print('no link', flush=True); import time; time.sleep(99)"]
)
def test_a_server_that_does_not_start_is_reported_and_ended(serve: Serve, code: str) -> None:
    serve.command = (sys.executable, "-c", code)
    with pytest.raises(AssertionError) as caught:
        serve()
    assert ("cannot bind" in caught.value.__notes__[0]) is ("cannot bind" in code)
    assert serve.servers == []


def test_the_environment_of_the_developer_does_not_reach_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALERTSITE_TOKEN", "real")
    serve.command = (sys.executable, "-c", "import os, sys; sys.exit(str(sorted(os.environ.items())))")
    with pytest.raises(AssertionError) as caught:
        serve(BULKLOAD_OTHER="given")
    shown = caught.value.__notes__[0]
    assert ("ALERTSITE_TOKEN" in shown, "BULKLOAD_OTHER" in shown, "ALERTSITE_BASE_URL" in shown) == (False, True, True)


def test_what_is_missing_skips_or_fails_as_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BULKLOAD_BROWSER_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        missing("no browser")
    monkeypatch.setenv("BULKLOAD_BROWSER_TESTS", "required")
    with pytest.raises(pytest.fail.Exception, match="no browser"):
        missing("no browser")
