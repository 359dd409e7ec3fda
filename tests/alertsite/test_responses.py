"""What the API's answers mean is decided at one place, completely, and secrets stay out of every word."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bulkload import clock
from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.responses import Answer, client_failure, raise_for_status, retry_after
from bulkload.errors import (
    ApiDown,
    ApiError,
    ApiUnreliable,
    AuthFailed,
    Forbidden,
    InDoubt,
    LoginRefused,
    NotFound,
    NotSent,
    Rejected,
    RunStopped,
    Throttled,
    UnexpectedPage,
    WrongAddress,
)
from bulkload.sandbox import Faults, Options, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import Asked, Desk, Said, imap, listed, scripted

SENT_AT = clock.moment()
ERRORS = b'{"errors": [{"code": 400, "message": "name: is missing"}, {"code": 400, "message": "port: too high"}]}'
AUTH = b'{"errors": [{"code": 400, "message": "invalid_request - User authentication failed."}]}'
PAGE = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"
BODIES: dict[str, tuple[bytes, str]] = {
    "errors": (ERRORS, "application/json"),
    "auth": (AUTH, "application/json"),
    "empty": (b"", "application/json"),
    "page": (PAGE, "text/html; charset=utf-8"),
    "page as json": (PAGE, "application/json"),
    "page about a login": (b"<html>User authentication failed</html>", "text/html"),
    "garbage": (b"{\xff\xfe half", "application/json"),
    "list": (b"[1, 2]", "application/json"),
    "odd errors": (b'{"errors": {"code": 1}}', "application/json"),
    "deep": (b"[" * 100_000, "application/json"),
}
BODY = b'{"name": "mx1", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}'
CANARY_PASSWORD, CANARY_TOKEN = "pa55-canary-word", "t0ken-canary"


def _expected(status: int, body: str) -> type[ApiError] | None:
    """The table of design §4, by status and body."""
    page = body.startswith("page")
    if 200 <= status <= 299:
        return None
    if status == 429:
        return Throttled
    if status == 401 or (status in (400, 403) and body == "auth"):
        return AuthFailed
    if status >= 500 or status == 408:
        return InDoubt
    if status < 400 or status == 407 or page:
        return WrongAddress
    return {403: Forbidden, 404: NotFound}.get(status, Rejected)


@pytest.mark.parametrize("body", BODIES)
def test_every_status_with_every_kind_of_body_has_its_one_meaning(body: str) -> None:
    content, kind = BODIES[body]
    for status in range(100, 600):
        answer = Answer(status, {"Content-Type": kind}, content)
        expected = _expected(status, body)
        if expected is None:
            raise_for_status(answer, SENT_AT)
            continue
        with pytest.raises(ApiError) as caught:
            raise_for_status(answer, SENT_AT)
        assert type(caught.value) is expected, status
        assert str(caught.value), "a meaning without words"
        assert "\n" not in str(caught.value)
        if body == "errors":
            assert "name: is missing; port: too high" in str(caught.value), "the API's own words"


SAID = "invalid_request - User authentication failed."
WORDS: list[tuple[str, bool]] = [
    (SAID, True),
    (f"  {SAID} ", True),
    ("User authentication failed.", True),
    ("invalid_request - User authentication failed", True),
    ("name: 'mx1: User authentication failed.' is taken", False),
    (f"{SAID} name is missing", False),
    ("authentication failed", False),
    ("", False),
]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500, 502, 503])
@pytest.mark.parametrize(("words", "documented"), WORDS)
async def test_only_the_documented_words_alone_mean_that_the_token_was_refused(
    status: int, words: str, documented: bool
) -> None:
    """A refused row may hold them in its name, and a 5xx may come after the monitor was made."""
    said = Said(content={"errors": [{"code": status, "message": words}]}, status=status)
    with scripted(lambda asked: said) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(ApiError) as caught:
                await api.create("email-imap", BODY, _ready)
    refused = documented and status in (400, 403)
    usual = {403: Forbidden, 404: WrongAddress}.get(status, InDoubt if status >= 500 else Rejected)
    assert type(caught.value) is (AuthFailed if refused else usual)


def test_a_row_that_speaks_of_a_failed_authentication_is_refused_and_the_run_goes_on(desk: Desk) -> None:
    def answer(asked: Asked) -> Said:
        if asked.method == "GET":
            return listed()
        if asked.body["name"] == "first":
            return Said(content={"id": "7"})
        words = f"The name {asked.body['name']!r} is taken."
        return Said(content={"errors": [{"code": 400, "message": words}]}, status=400)

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        sheet = desk.sheet("rows.csv", [imap("first"), imap("User authentication failed."), imap("third")])
        ended, rows = desk.run(sheet)
    assert (ended.exit_code, [row["status"] for row in rows]) == (1, ["created", "rejected", "rejected"])
    assert server.count("POST") == 3


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_monitor_that_was_made_is_not_made_again_whatever_the_answer_says(desk: Desk, status: int) -> None:
    stored: list[dict[str, object]] = []

    def answer(asked: Asked) -> Said:
        if asked.method == "GET":
            return listed(*stored)
        stored.append({**asked.body, "id": 70 + len(stored), "type": "email-imap"})
        return Said(content={"errors": [{"code": status, "message": SAID}]}, status=status)

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("a")]))
        assert (ended.exit_code, rows[0]["status"], server.count("POST")) == (0, "created", 1)


def _all(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("aiohttp"):
            yield from _all(below)


KEY = ConnectionKey("mx1.example.com", 443, True, True, None, None, None)
REQUEST = RequestInfo(
    URL("https://mx1.example.com"), "POST", CIMultiDictProxy(CIMultiDict()), URL("https://mx1.example.com")
)
REFUSED = OSError(111, "Connection refused")
MADE: dict[str, Callable[[Any], Exception]] = {
    "ClientResponseError": lambda kind: kind(REQUEST, (), status=407, message="odd"),
    "ClientConnectorError": lambda kind: kind(KEY, REFUSED),
    "UnixClientConnectorError": lambda kind: kind("/run/socket", KEY, REFUSED),
    "ClientConnectorCertificateError": lambda kind: kind(KEY, ssl.CertificateError("wrong host")),
    "ServerFingerprintMismatch": lambda kind: kind(b"a", b"b", "mx1.example.com", 443),
    "InvalidURL": lambda kind: kind("http://[", "no address"),
    "NonHttpUrlClientError": lambda kind: kind("gopher://x", "no address"),
}
NEVER_LEFT = {
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ClientProxyConnectionError",
    "UnixClientConnectorError",
    "ClientSSLError",
    "ClientConnectorSSLError",
    "ClientConnectorCertificateError",
    "ConnectionTimeoutError",
}
WRONG_ADDRESS = {
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "ClientHttpProxyError",
}


def _make(kind: type[Exception]) -> Exception:
    for ancestor in kind.__mro__:
        if ancestor.__name__ in MADE:
            return MADE[ancestor.__name__](kind)
    return kind("words")


@pytest.mark.parametrize("kind", sorted(set(_all(aiohttp.ClientError)), key=str))
def test_every_error_of_the_http_client_has_its_one_meaning(kind: type[Exception]) -> None:
    """Only what surely never left counts as not created; all else is in doubt."""
    failure = client_failure(_make(kind), SENT_AT)
    name = kind.__name__
    expected = NotSent if name in NEVER_LEFT else WrongAddress if name in WRONG_ADDRESS else InDoubt
    assert type(failure) is expected
    assert str(failure)
    if isinstance(failure, InDoubt):
        assert failure.sent_at == SENT_AT


@pytest.mark.parametrize(
    "error", [TimeoutError(), OSError(32, "Broken pipe"), ConnectionResetError(), ssl.SSLError("x")]
)
def test_errors_of_the_system_leave_a_request_in_doubt(error: Exception) -> None:
    assert type(client_failure(error, SENT_AT)) is InDoubt


# ── Retry-After ───────────────────────────────────────────────────────────────────────────────────────────────

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("1.5", 1.5),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("١٢", None),
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    found = retry_after({"Retry-After": text}, NOW)
    assert found == (pytest.approx(seconds) if seconds is not None else None)


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} ([+-]\d{4}|GMT)", fullmatch=True)
)
def test_no_retry_after_whatever_it_says_is_an_error_or_negative(text: str) -> None:
    found = retry_after({"Retry-After": text}, NOW)
    assert found is None or found >= 0


# ── over a socket ─────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _api(base_url: str, **more: Any) -> AsyncIterator[Api]:
    async with Api(base_url, Pace(200), **{"username": "u", "password": CANARY_PASSWORD, **more}) as api:
        yield api


@asynccontextmanager
async def _at_sandbox(faults: Faults, **more: Any) -> AsyncIterator[tuple[Sandbox, Api]]:
    options = Options(user="u", password=CANARY_PASSWORD, **more)
    async with Sandbox(options, faults) as sandbox, _api(sandbox.base_url, request_timeout=3.0) as api:
        yield sandbox, api


async def _ready() -> None:
    return None


ASKED_FOR: dict[str, type[ApiError]] = {
    "throttle": Throttled,
    "request-timeout": InDoubt,
    "error-before": InDoubt,
    "error-after": InDoubt,
    "drop-before": InDoubt,
    "drop-after": InDoubt,
    "reset-before": InDoubt,
    "reset-after": InDoubt,
    "cut": InDoubt,
    "stall-before": InDoubt,
    "stall-after": InDoubt,
    "page-before": InDoubt,  # with its status of 502
    "page-after": InDoubt,
    "redirect": WrongAddress,
    "late": InDoubt,
    "no-id": InDoubt,
    "garbled": InDoubt,
    "token-401": AuthFailed,
    "token-400": AuthFailed,
    "plan-full": Rejected,
    "wrong-role": Forbidden,
}


@pytest.mark.parametrize("fault", ASKED_FOR)
async def test_a_create_that_is_answered_badly_is_one_request_and_says_what_is_proven(fault: str) -> None:
    async with _at_sandbox(Faults(rules=(Rule(fault=fault, on=("create",)),))) as (sandbox, api):
        with pytest.raises(ApiError) as caught:
            await api.create("email-imap", BODY, _ready)
        assert type(caught.value) is ASKED_FOR[fault], caught.value
        assert sandbox.counts()["create"] == 1, "a create is never repeated by the client itself"


@pytest.mark.parametrize("status", [*range(200, 204), *range(300, 309), *range(400, 420), *range(500, 512)])
async def test_no_status_of_a_create_over_a_socket_is_repeated_or_followed(status: int) -> None:
    with scripted(lambda asked: Said(content=json.loads(ERRORS), status=status, headers={"Location": "/x"})) as server:
        async with _api(server.base_url) as api:
            with pytest.raises((ApiError, RunStopped)):
                await api.create("email-imap", BODY, _ready)
        assert server.count("POST") == 1
        assert server.count("GET") == 0


@pytest.mark.parametrize(
    "content",
    [{}, [], None, {"id": None}, {"id": True}, {"id": "x1"}, {"id": -4}, {"id": 1.5}, {"id": ""}, {"id": "1" * 19}],
)
async def test_a_success_without_a_readable_id_is_in_doubt(content: object) -> None:
    with scripted(lambda asked: Said(content=content)) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(InDoubt):
                await api.create("email-imap", BODY, _ready)


async def test_a_page_with_a_status_of_success_is_told_from_the_api() -> None:
    with scripted(lambda asked: Said(content=PAGE.decode(), kind="text/html")) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(UnexpectedPage):
                await api.create("email-imap", BODY, _ready)
            with pytest.raises(ApiUnreliable):
                await api.list_mail_monitors()


async def test_nobody_listening_means_that_nothing_was_sent() -> None:
    async with Sandbox() as sandbox:
        base_url = sandbox.base_url
    async with _api(base_url, token="t", password="") as api:
        with pytest.raises(NotSent):
            await api.create("email-imap", BODY, _ready)


async def test_a_request_is_ready_before_it_leaves() -> None:
    """What is noted when it gets ready is noted before the server has seen anything."""
    async with _at_sandbox(Faults()) as (sandbox, api):
        seen: list[int] = []

        async def note() -> None:
            seen.append(sandbox.counts().get("create", 0))

        await api.create("email-imap", BODY, note)
        assert seen == [0]
        assert sandbox.counts()["create"] == 1


async def test_many_refusals_of_one_token_are_one_login() -> None:
    async with _at_sandbox(Faults()) as (sandbox, api):
        await api.list_mail_monitors()
        sandbox.expire_tokens()

        async def create() -> None:
            while True:
                try:
                    await api.create("email-imap", BODY, _ready)
                    return
                except AuthFailed as error:
                    await api.renew(error)

        await asyncio.gather(*(create() for _ in range(20)))
        assert sandbox.counts()["login"] == 2


async def test_a_token_that_is_refused_at_once_again_stops_the_run() -> None:
    def answer(asked: Asked) -> Said:
        return Said(content=json.loads(AUTH), status=400)

    with scripted(answer) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(LoginRefused):
                await api.list_mail_monitors()
        assert len(server.asked) <= 5


async def test_a_given_token_that_is_refused_is_not_renewed_without_a_password() -> None:
    async with Sandbox() as sandbox, _api(sandbox.base_url, token=CANARY_TOKEN, username="", password="") as api:
        with pytest.raises(LoginRefused) as caught:
            await api.list_mail_monitors()
        assert CANARY_TOKEN not in str(caught.value)
        assert sandbox.counts() == {"list": 1}


@pytest.mark.parametrize("page_size", [None, 1, 3, 7, 8])
async def test_a_list_in_pages_is_the_whole_list(page_size: int | None) -> None:
    async with _at_sandbox(Faults(), page_size=page_size) as (_, api):
        for number in range(7):
            body = {"name": f"m{number}", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
            await api.create("email-imap", json.dumps(body).encode(), _ready)
        assert [item["name"] for item in await api.list_mail_monitors()] == [f"m{number}" for number in range(7)]


@pytest.mark.parametrize("fault", ["list-shape", "list-repeat", "page-after", "redirect", "garbled"])
async def test_a_list_that_cannot_be_read_is_not_an_empty_account(fault: str) -> None:
    status = 200 if fault == "page-after" else None
    async with _at_sandbox(Faults(rules=(Rule(fault=fault, on=("list",), status=status),))) as (_, api):
        body = {"name": "m", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
        await api.create("email-imap", json.dumps(body).encode(), _ready)
        with pytest.raises(RunStopped):
            await api.list_mail_monitors()


async def test_a_request_that_may_be_repeated_is_repeated_until_it_is_answered() -> None:
    rules = tuple(
        Rule(fault=fault, on=("list",), at=(at,)) for at, fault in enumerate(("reset-before", "error-after"), 1)
    )
    async with _at_sandbox(Faults(rules=rules)) as (sandbox, api):
        assert await api.list_mail_monitors() == []
        assert sandbox.counts()["list"] == 3
        assert api.retried >= 1  # aiohttp repeats a GET by itself when a connection that it kept turns out dead


async def test_requests_that_are_never_answered_end_the_run() -> None:
    async with _at_sandbox(Faults(rules=(Rule(fault="reset-before", on=("list",)),))) as (_, api):
        with pytest.raises(ApiDown):
            await api.list_mail_monitors()


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────────


def _words_of(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from (str(error), repr(error), *map(str, error.args))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("fault", [*ASKED_FOR, "login-refused", "list-shape", "list-repeat"])
async def test_no_word_about_any_failure_holds_a_secret(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the exception, what caused it, its arguments, or a log line at debug level."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("bulkload").propagate = True
    async with _at_sandbox(Faults(rules=(Rule(fault=fault, times=4),), retry_after="none")) as (sandbox, api):
        shown: list[str] = []
        for call in (api.create("email-imap", BODY, _ready), api.list_mail_monitors()):
            try:
                await call
            except (ApiError, RunStopped) as error:
                shown += _words_of(error)
        words = "\n".join([*shown, caplog.text])
        tokens = [token for token in [api._token] if token]
        for secret in (CANARY_PASSWORD, *tokens):
            assert secret not in words
        assert all(secret not in repr(entry) for entry, secret in itertools.product(sandbox.requests(), tokens))


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 408, 500])
@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain"])
async def test_an_answer_that_says_a_secret_back_is_shown_without_it(
    status: int, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A debugging server or a gateway may show the request that it refuses."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("bulkload").propagate = True
    monkeypatch.setattr("bulkload.alertsite.client.SAFE_BACK_OFF", 0.0)
    secret = 'se"cret-canary'
    said = {"errors": [{"code": status, "message": f"sent: Bearer {secret}"}]}
    content = json.dumps(said) if kind == "application/json" else f"<p>{secret}</p> {json.dumps(secret)} " * 9
    answer = Said(content=content, status=status, kind=kind, headers={"Location": "/", "Retry-After": "0"})
    shown: list[str] = []
    with scripted(lambda asked: answer, login=answer) as server:
        async with _api(server.base_url, token=secret, password="", username="") as api:
            for call in (api.create("email-imap", BODY, _ready), api.list_mail_monitors()):
                with pytest.raises((ApiError, RunStopped)) as caught:
                    await call
                shown += _words_of(caught.value)
        async with _api(server.base_url, password=secret) as api:
            with pytest.raises((ApiError, RunStopped)) as caught:
                await api.list_mail_monitors()
            shown += _words_of(caught.value)
    words = "\n".join([*shown, caplog.text])
    assert secret not in words
    assert json.dumps(secret)[1:-1] not in words
