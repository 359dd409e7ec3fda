"""Every response and client error has one meaning, and no message contains a secret."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
import ssl
import threading
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
from bulkload.alertsite import client
from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.responses import (
    Response,
    error_message,
    raise_for_status,
    retry_after,
    translate_client_error,
)
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
from bulkload.sandbox import Faults, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, fake_api, imap, list_response
from tests.support.waiting import TIMEOUT

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
    "invalid JSON": (b"{\xff\xfe half", "application/json"),
    "list": (b"[1, 2]", "application/json"),
    "errors of another shape": (b'{"errors": {"code": 1}}', "application/json"),
    "deep": (b"[" * 100_000, "application/json"),
}
BODY = b'{"name": "mx1", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}'
CANARY_PASSWORD, CANARY_TOKEN = "pa55-canary-word", "t0ken-canary"


def _expected(status: int, body: str) -> type[ApiError] | None:
    """The error for a status and a body of `BODIES`."""
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
def test_every_status_with_every_body_has_one_meaning(body: str) -> None:
    content, content_type = BODIES[body]
    for status in range(100, 600):
        response = Response(status, {"Content-Type": content_type}, content)
        expected = _expected(status, body)
        if expected is None:
            raise_for_status(response, SENT_AT)
            continue
        with pytest.raises(ApiError) as caught:
            raise_for_status(response, SENT_AT)
        assert type(caught.value) is expected, status
        assert str(caught.value), "the message is empty"
        assert "\n" not in str(caught.value)
        if body == "errors":
            assert "name: is missing; port: too high" in str(caught.value), "the API's messages"


AUTH_MESSAGE = "invalid_request - User authentication failed."
MESSAGES: list[tuple[str, bool]] = [
    (AUTH_MESSAGE, True),
    (f"  {AUTH_MESSAGE} ", True),
    ("User authentication failed.", True),
    ("invalid_request - User authentication failed", True),
    ("name: 'mx1: User authentication failed.' is taken", False),
    (f"{AUTH_MESSAGE} name is missing", False),
    ("authentication failed", False),
    ("", False),
]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500, 502, 503])
@pytest.mark.parametrize(("message", "is_documented"), MESSAGES)
async def test_only_exactly_the_documented_message_means_that_the_token_was_refused(
    status: int, message: str, is_documented: bool
) -> None:
    """A rejected row may have the message in its name, and a 5xx may follow after the monitor was created."""
    response = FakeResponse(content={"errors": [{"code": status, "message": message}]}, status=status)
    with fake_api(lambda request: response) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(ApiError) as caught:
                await api.create("email-imap", BODY)
    is_refused = is_documented and status in (400, 403)
    otherwise = {403: Forbidden, 404: WrongAddress}.get(status, InDoubt if status >= 500 else Rejected)
    assert type(caught.value) is (AuthFailed if is_refused else otherwise)


def test_a_row_named_like_the_message_of_a_failed_login_is_rejected_and_the_run_continues(cli: CommandLine) -> None:
    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            return list_response()
        if request.body["name"] == "first":
            return FakeResponse(content={"id": "7"})
        message = f"The name {request.body['name']!r} is taken."
        return FakeResponse(content={"errors": [{"code": 400, "message": message}]}, status=400)

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        path = cli.write_csv("rows.csv", [imap("first"), imap("User authentication failed."), imap("third")])
        result, rows = cli.run(path)
    assert (result.exit_code, [row["status"] for row in rows]) == (1, ["created", "rejected", "rejected"])
    assert server.count("POST") == 3


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_monitor_that_was_created_despite_an_error_is_not_created_again(cli: CommandLine, status: int) -> None:
    stored: list[dict[str, object]] = []

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            return list_response(*stored)
        stored.append({**request.body, "id": 70 + len(stored), "type": "email-imap"})
        return FakeResponse(content={"errors": [{"code": status, "message": AUTH_MESSAGE}]}, status=status)

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("a")]))
        assert (result.exit_code, rows[0]["status"], server.count("POST")) == (0, "created", 1)


def _with_subclasses(error_type: type[Exception]) -> Iterator[type[Exception]]:
    yield error_type
    for subclass in error_type.__subclasses__():
        if subclass.__module__.startswith("aiohttp"):
            yield from _with_subclasses(subclass)


KEY = ConnectionKey("mx1.example.com", 443, True, True, None, None, None)
REQUEST = RequestInfo(
    URL("https://mx1.example.com"), "POST", CIMultiDictProxy(CIMultiDict()), URL("https://mx1.example.com")
)
REFUSED = OSError(111, "Connection refused")
FACTORIES: dict[str, Callable[[Any], Exception]] = {
    "ClientResponseError": lambda error_type: error_type(REQUEST, (), status=407, message="odd"),
    "ClientConnectorError": lambda error_type: error_type(KEY, REFUSED),
    "UnixClientConnectorError": lambda error_type: error_type("/run/socket", KEY, REFUSED),
    "ClientConnectorCertificateError": lambda error_type: error_type(KEY, ssl.CertificateError("wrong host")),
    "ServerFingerprintMismatch": lambda error_type: error_type(b"a", b"b", "mx1.example.com", 443),
    "InvalidURL": lambda error_type: error_type("http://[", "no address"),
    "NonHttpUrlClientError": lambda error_type: error_type("gopher://x", "no address"),
}
NEVER_SENT = {
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


def _make(error_type: type[Exception]) -> Exception:
    for ancestor in error_type.__mro__:
        if ancestor.__name__ in FACTORIES:
            return FACTORIES[ancestor.__name__](error_type)
    return error_type("message")


@pytest.mark.parametrize("error_type", sorted(set(_with_subclasses(aiohttp.ClientError)), key=str))
def test_every_error_of_the_http_client_has_one_meaning(error_type: type[Exception]) -> None:
    """A request counts as not created only if it was certainly not sent; otherwise it is in doubt."""
    failure = translate_client_error(_make(error_type), SENT_AT)
    name = error_type.__name__
    expected = NotSent if name in NEVER_SENT else WrongAddress if name in WRONG_ADDRESS else InDoubt
    assert type(failure) is expected
    assert str(failure)
    if isinstance(failure, InDoubt):
        assert failure.sent_at == SENT_AT


CANNOT_CONNECT = {
    "https://nowhere.invalid/": "Cannot find nowhere.invalid: check the network or HTTPS_PROXY",
    "http://127.0.0.1:{closed}/": "Cannot connect to 127.0.0.1:{closed}: Connection refused",
    "https://127.0.0.1:{plain}/": "No TLS connection to 127.0.0.1:{plain}: ",
    "http://127.0.0.1:{closed}/ by proxy": "Cannot connect to the proxy 127.0.0.1:{closed}: Connection refused;"
    " check HTTPS_PROXY",
    "http://127.0.0.1:{plain}/ by proxy.invalid": "Cannot find proxy.invalid: check the network or HTTPS_PROXY",
}


@pytest.mark.parametrize("address", CANNOT_CONNECT)
async def test_why_there_is_no_connection_is_said_in_plain_words(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]

    def speak_no_tls(listening: socket.socket) -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as accepted:  # closed, if nobody connects
            accepted.sendall(b"220 mx1.example.com\r\n")

    with socket.create_server(("127.0.0.1", 0)) as plain:
        thread = threading.Thread(target=speak_no_tls, args=(plain,), daemon=True)
        thread.start()
        ports = {"closed": closed, "plain": plain.getsockname()[1]}
        url, _, proxy = address.format(**ports).partition(" by ")
        proxy_url = {"": None, "proxy": f"http://127.0.0.1:{closed}"}.get(proxy, f"http://{proxy}:1")
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError) as caught:
                await session.get(url, proxy=proxy_url)
        plain.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT)
    failure = translate_client_error(caught.value, SENT_AT)
    assert type(failure) is NotSent
    assert str(failure).startswith(CANNOT_CONNECT[address].format(**ports))


@pytest.mark.parametrize(
    "error", [TimeoutError(), OSError(32, "Broken pipe"), ConnectionResetError(), ssl.SSLError("x")]
)
def test_operating_system_errors_leave_a_request_in_doubt(error: Exception) -> None:
    assert type(translate_client_error(error, SENT_AT)) is InDoubt


# ── Retry-After ───────────────────────────────────────────────────────────────────────────────────────────────

NOW = 1_790_000_000.0


HOSTILE = "\x1b]0;x\x07\x9b31m\r\nforged\0"


def test_messages_have_no_characters_that_control_a_terminal() -> None:
    body = json.dumps({"errors": [{"message": HOSTILE}]}).encode()
    for content in (body, HOSTILE.encode()):
        message = error_message(Response(400, {}, content))
        assert message.endswith("�]0;x��31m forged�")
    error = translate_client_error(aiohttp.ClientPayloadError(HOSTILE), "")
    assert "�]0;x��31m forged�" in str(error)


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
    assert retry_after({"Retry-After": text}, NOW) == (pytest.approx(seconds) if seconds is not None else None)


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} ([+-]\d{4}|GMT)", fullmatch=True)
)
def test_no_value_of_retry_after_is_an_error_or_gives_a_negative_time(text: str) -> None:
    seconds = retry_after({"Retry-After": text}, NOW)
    assert seconds is None or seconds >= 0


# ── over a socket ─────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _api(base_url: str, *, rate: float = 200, **options: Any) -> AsyncIterator[Api]:
    async with Api(base_url, Pace(rate), **{"username": "u", "password": CANARY_PASSWORD, **options}) as api:
        yield api


@asynccontextmanager
async def _sandbox_api(faults: Faults, **more_options: Any) -> AsyncIterator[tuple[Sandbox, Api]]:
    options = SandboxOptions(user="u", password=CANARY_PASSWORD, **more_options)
    async with Sandbox(options, faults) as sandbox, _api(sandbox.base_url, request_timeout=3.0) as api:
        yield sandbox, api


FAULT_ERRORS: dict[str, type[ApiError]] = {
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


@pytest.mark.parametrize("fault", FAULT_ERRORS)
async def test_a_create_with_a_fault_is_one_request_and_raises_the_error_of_the_fault(fault: str) -> None:
    async with _sandbox_api(Faults(rules=(Rule(fault=fault, on=("create",)),))) as (sandbox, api):
        with pytest.raises(ApiError) as caught:
            await api.create("email-imap", BODY)
        assert type(caught.value) is FAULT_ERRORS[fault], caught.value
        assert sandbox.counts()["create"] == 1, "a create is never repeated by the client itself"


@pytest.mark.parametrize("status", [*range(200, 204), *range(300, 309), *range(400, 420), *range(500, 512)])
async def test_a_create_is_not_repeated_or_redirected_after_any_status(status: int) -> None:
    with fake_api(
        lambda request: FakeResponse(content=json.loads(ERRORS), status=status, headers={"Location": "/x"})
    ) as server:
        async with _api(server.base_url) as api:
            with pytest.raises((ApiError, RunStopped)):
                await api.create("email-imap", BODY)
        assert server.count("POST") == 1
        assert server.count("GET") == 0


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        None,
        {"id": None},
        {"id": True},
        {"id": "x1"},
        {"id": -4},
        {"id": 1.5},
        {"id": ""},
        {"id": "1" * 19},
        {"id": 0},
        {"id": "0"},
        {"id": "007"},
    ],
)
async def test_a_2xx_without_a_valid_id_is_in_doubt(content: object) -> None:
    with fake_api(lambda request: FakeResponse(content=content)) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(InDoubt):
                await api.create("email-imap", BODY)


async def test_a_2xx_with_a_web_page_is_not_a_response_of_the_api() -> None:
    with fake_api(lambda request: FakeResponse(content=PAGE.decode(), content_type="text/html")) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(UnexpectedPage):
                await api.create("email-imap", BODY)
            with pytest.raises(ApiUnreliable):
                await api.list_mail_monitors()


async def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    async with Sandbox() as sandbox:
        base_url = sandbox.base_url
    async with _api(base_url, token="t", password="") as api:
        with pytest.raises(NotSent):
            await api.create("email-imap", BODY)


async def test_many_refusals_of_one_token_cause_one_login() -> None:
    async with _sandbox_api(Faults()) as (sandbox, api):
        await api.list_mail_monitors()
        sandbox.expire_tokens()

        async def create() -> None:
            while True:
                try:
                    await api.create("email-imap", BODY)
                    return
                except AuthFailed as error:
                    await api.renew(error)

        await asyncio.gather(*(create() for _ in range(20)))
        assert sandbox.counts()["login"] == 2


async def test_a_new_token_that_is_refused_too_stops_the_run() -> None:
    def answer(request: ApiRequest) -> FakeResponse:
        return FakeResponse(content=json.loads(AUTH), status=400)

    with fake_api(answer) as server:
        async with _api(server.base_url) as api:
            with pytest.raises(LoginRefused):
                await api.list_mail_monitors()
        assert len(server.requests) <= 5


async def test_a_configured_token_is_not_renewed_without_a_password() -> None:
    async with Sandbox() as sandbox, _api(sandbox.base_url, token=CANARY_TOKEN, username="", password="") as api:
        with pytest.raises(LoginRefused) as caught:
            await api.list_mail_monitors()
        assert CANARY_TOKEN not in str(caught.value)
        assert sandbox.counts() == {"list": 1}


async def test_a_token_is_taken_when_a_request_starts_not_when_it_begins_to_wait() -> None:
    """Fifty workers wait up to 3 seconds for their start, and tokens are valid for 2: no refusal means anything."""
    async with (
        Sandbox(SandboxOptions(user="u", password=CANARY_PASSWORD, token_seconds=2.0)) as sandbox,
        _api(sandbox.base_url, rate=15, concurrency=50) as api,
    ):
        refusals: list[AuthFailed] = []

        async def create(index: int) -> None:
            body = {"name": f"m{index}", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
            while True:
                try:
                    await api.create("email-imap", json.dumps(body).encode())
                    return
                except AuthFailed as error:
                    refusals.append(error)
                    await api.renew(error)

        await asyncio.gather(*(create(index) for index in range(45)))
        assert len(await api.list_mail_monitors()) == 45
        assert len(refusals) <= 5  # one or two for each expiry, not one for each worker that waits


async def test_an_expired_token_that_was_never_used_is_no_refused_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the login and the first request with its token, the token may expire."""
    monkeypatch.setattr(client, "FRESH_TOKEN", -1.0)  # as if each request had waited longer than that

    def answer(request: ApiRequest) -> FakeResponse:
        if request.path == "/access-tokens":
            return FakeResponse(content={"access_token": "token"})
        lists = [each for each in server.requests if each.path == "/monitors"]
        return FakeResponse(content=json.loads(AUTH), status=400) if len(lists) <= 3 else list_response()

    with fake_api(answer) as server:
        async with _api(server.base_url) as api:
            assert await api.list_mail_monitors() == []


@pytest.mark.parametrize("page_size", [None, 1, 3, 7, 8])
async def test_all_pages_of_a_list_are_read(page_size: int | None) -> None:
    async with _sandbox_api(Faults(), page_size=page_size) as (_, api):
        for index in range(7):
            body = {"name": f"m{index}", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
            await api.create("email-imap", json.dumps(body).encode())
        assert [item["name"] for item in await api.list_mail_monitors()] == [f"m{index}" for index in range(7)]


@pytest.mark.parametrize("fault", ["list-shape", "list-repeat", "page-after", "redirect", "garbled"])
async def test_an_unreadable_list_is_not_treated_as_an_empty_account(fault: str) -> None:
    status = 200 if fault == "page-after" else None
    async with _sandbox_api(Faults(rules=(Rule(fault=fault, on=("list",), status=status),))) as (_, api):
        body = {"name": "m", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
        await api.create("email-imap", json.dumps(body).encode())
        with pytest.raises(RunStopped):
            await api.list_mail_monitors()


async def test_a_request_that_is_safe_to_repeat_is_repeated_until_it_is_answered() -> None:
    rules = tuple(
        Rule(fault=fault, on=("list",), at=(at,)) for at, fault in enumerate(("reset-before", "error-after"), 1)
    )
    async with _sandbox_api(Faults(rules=rules)) as (sandbox, api):
        assert await api.list_mail_monitors() == []
        assert sandbox.counts()["list"] == 3
        assert api.retried >= 1  # aiohttp itself repeats a GET if a reused connection is closed


async def test_requests_without_a_response_stop_the_run() -> None:
    async with _sandbox_api(Faults(rules=(Rule(fault="reset-before", on=("list",)),))) as (_, api):
        with pytest.raises(ApiDown):
            await api.list_mail_monitors()


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────────


def _messages_of(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from (str(error), repr(error), *map(str, error.args))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("fault", [*FAULT_ERRORS, "login-refused", "list-shape", "list-repeat"])
async def test_no_message_about_any_failure_contains_a_secret(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the exception, its causes and arguments, nor the log at debug level."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("bulkload").propagate = True
    async with _sandbox_api(Faults(rules=(Rule(fault=fault, times=4),), retry_after="none")) as (sandbox, api):
        shown: list[str] = []
        for call in (api.create("email-imap", BODY), api.list_mail_monitors()):
            try:
                await call
            except (ApiError, RunStopped) as error:
                shown += _messages_of(error)
        messages = "\n".join([*shown, caplog.text])
        tokens = [token for token in [api._token] if token]
        for secret in (CANARY_PASSWORD, *tokens):
            assert secret not in messages
        assert all(secret not in repr(entry) for entry, secret in itertools.product(sandbox.requests(), tokens))


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 408, 500])
@pytest.mark.parametrize("content_type", ["application/json", "text/html", "text/plain"])
async def test_a_response_that_echoes_a_secret_is_shown_without_it(
    status: int, content_type: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A debugging server or a gateway may include the rejected request in its response."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("bulkload").propagate = True
    monkeypatch.setattr("bulkload.alertsite.client.FIRST_BACK_OFF", 0.0)
    secret = 'se"cret-canary'
    errors = {"errors": [{"code": status, "message": f"sent: Bearer {secret}"}]}
    content = json.dumps(errors) if content_type == "application/json" else f"<p>{secret}</p> {json.dumps(secret)} " * 9
    response = FakeResponse(
        content=content, status=status, content_type=content_type, headers={"Location": "/", "Retry-After": "0"}
    )
    shown: list[str] = []
    with fake_api(lambda request: response, login=response) as server:
        async with _api(server.base_url, token=secret, password="", username="") as api:
            for call in (api.create("email-imap", BODY), api.list_mail_monitors()):
                with pytest.raises((ApiError, RunStopped)) as caught:
                    await call
                shown += _messages_of(caught.value)
        async with _api(server.base_url, password=secret) as api:
            with pytest.raises((ApiError, RunStopped)) as caught:
                await api.list_mail_monitors()
            shown += _messages_of(caught.value)
    messages = "\n".join([*shown, caplog.text])
    assert secret not in messages
    assert json.dumps(secret)[1:-1] not in messages
