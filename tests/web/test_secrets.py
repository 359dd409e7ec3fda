"""Passwords, tokens and the access key are nowhere but where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bulkload.sandbox import Faults, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import FAST_SETTINGS, ApiRequest, FakeResponse, fake_api
from tests.support.served import SERVE, Served
from tests.support.waiting import wait_until
from tests.support.web_client import Answer, Visitor, csv_of

PASSWORD = "canary-Passw0rd/&<ü>"
TOKEN = "canary.token.0123456789"
KEY = "canary-access-key-0123456789abcdef"
FORMS = tuple(
    form.encode()
    for secret in (PASSWORD, TOKEN, KEY)
    for form in {secret, quote(secret), quote(secret, safe=""), secret.encode("unicode_escape").decode()}
)


@pytest.fixture
def account() -> Iterator[Sandbox]:
    with running(SandboxOptions(password=PASSWORD)) as sandbox:
        yield sandbox


def start(folder: Path, **environment: str) -> Served:
    """A server with a chosen key, whose file is outside of its output folder, and with all of its log."""
    key_file = folder / "key.txt"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    served = folder / "served"
    served.mkdir()
    server = Served.start(
        (*SERVE, "--log-level", "debug"),
        served,
        {**FAST_SETTINGS, "BULKLOAD_CONCURRENCY": "1", "BULKLOAD_SERVE_KEY_FILE": str(key_file), **environment},
        folder / "log",
    )
    server.address += f"?key={KEY}"
    return server


def found(content: bytes) -> list[bytes]:
    return [form for form in FORMS if form in content]


def assert_no_secret(answer: Answer) -> None:
    assert found(answer.body) == []
    assert found(str(answer.headers).encode()) == []


def assert_nowhere_on_disk(server: Served) -> None:
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert files
    for path in (*files, server.stdout, server.stderr):
        assert found(path.read_bytes()) == [], path


def processes(server: Served) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [server.process.pid, *map(int, children)]


@pytest.mark.parametrize("is_typed", [False, True])
def test_no_secret_is_shown_logged_or_stored(tmp_path: Path, account: Sandbox, is_typed: bool) -> None:
    own = {} if is_typed else {"ALERTSITE_USERNAME": account.options.user, "ALERTSITE_PASSWORD": PASSWORD}
    server = start(tmp_path, ALERTSITE_BASE_URL=account.base_url, **own)
    visitor = Visitor(server.address)
    if is_typed:
        answers = [visitor.post("/account", {"username": account.options.user, "password": PASSWORD})]
    else:
        answers = [visitor.post("/account", {"username": "", "password": PASSWORD})]  # refused
    draft = visitor.draft(csv_of(6))
    form = visitor.compared(draft).html.form("/start")
    account.set_faults(Faults(rules=(Rule(fault="slow", seconds=0.3),)))
    job = visitor.press(form, ("first", "all")).location
    wait_until(lambda: len(account.monitors()) >= 1)
    pids = processes(server)
    assert len(pids) == 2
    for pid in pids:
        assert found(Path(f"/proc/{pid}/cmdline").read_bytes()) == []
    assert found(Path(f"/proc/{pids[1]}/environ").read_bytes()) == []
    events = visitor.get(f"{job}/events")
    assert b"event: ended" in events.body
    run = visitor.get(job).location
    pages = (
        "/",
        "/account",
        "/runs",
        draft,
        f"{draft}/columns",
        f"{draft}/start",
        run,
        "/login",
        f"/?key={KEY}",
        "/nowhere",
    )
    downloads = (f"{run}/results.csv", f"{run}/results.html", f"{run}/results.xlsx", f"{draft}/marked.xlsx")
    answers += [events, *map(visitor.get, (*pages, *downloads))]
    visitor.cookie = ""
    answers += [visitor.get("/?key=wrong"), visitor.post("/login", {"key": "wrong", "next": f"/?key={KEY}"})]
    for answer in answers:
        assert_no_secret(answer)
    server.stop()
    assert_nowhere_on_disk(server)
    assert "DEBUG" in server.errors()


def test_secrets_that_the_api_repeats_are_not_shown(tmp_path: Path) -> None:
    def answer(request: ApiRequest) -> FakeResponse:
        return FakeResponse(status=400, content={"message": f"bad request of {TOKEN}"})

    login = FakeResponse(status=401, content={"message": f"wrong password {PASSWORD}", "error": PASSWORD})
    for number, (secrets, what) in enumerate(
        (
            ({"ALERTSITE_USERNAME": "a@example.com", "ALERTSITE_PASSWORD": PASSWORD}, "login"),
            ({"ALERTSITE_TOKEN": TOKEN}, ""),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with fake_api(answer, login) as api:
            server = start(folder, ALERTSITE_BASE_URL=api.base_url, **secrets)
            visitor = Visitor(server.address)
            draft = visitor.draft(csv_of(1))
            page = visitor.compared(draft)
            assert what in page.shown
            assert 'action="' + draft + '/start"' not in page.text
            assert_no_secret(page)
            server.stop()
        assert_nowhere_on_disk(server)
