"""No message about a request contains a secret in any encoding, including the proxy's password."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.secrets import HIDDEN, can_be_token, hide
from bulkload.errors import ApiError, BulkloadError, LoginRefused, WrongAddress
from tests.support.command_line import CommandLine, FakeResponse, fake_api, imap, list_response
from tests.support.raw_server import RawRequest, raw_server

PASSWORD = "c@nary#pa%ss/w:rd"
ENCODED = quote(PASSWORD, safe="")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def messages_of(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from (str(error), repr(error), *map(str, error.args))
        error = error.__cause__ or error.__context__


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote(secret, safe="").lower(), json.dumps(secret)[1:-1]}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [407, 403, 502])
async def test_the_password_of_a_refusing_proxy_is_not_shown(
    scheme: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the message, nor in its causes, nor in the log, although the proxy echoes the request."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("bulkload").propagate = True
    monkeypatch.setattr("bulkload.alertsite.client.FIRST_BACK_OFF", 0.0)
    heads: list[str] = []
    basic = base64.b64encode(f"anna:{PASSWORD}".encode()).decode()

    def answer(request: RawRequest) -> list[bytes]:
        heads.append(request.head)
        text = (
            f"{basic} //anna:{PASSWORD}@proxy http:\\/\\/anna:{ENCODED}@proxy {ENCODED.lower()} {request.head}".encode()
        )
        reason = f"X anna:{PASSWORD} \udcff".encode("utf-8", "surrogateescape")
        return [f"HTTP/1.1 {status} ".encode() + reason + f"\r\nContent-Length: {len(text)}\r\n\r\n".encode(), text]

    with raw_server(answer) as server:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://anna:{ENCODED}@127.0.0.1:{server.port}")
        shown: list[str] = []
        async with Api(f"{scheme}://api.example.com/api/v3", Pace(None), token="t") as api:
            for call in (api.create("email-imap", b"{}"), api.list_mail_monitors()):
                with pytest.raises((ApiError, BulkloadError)) as caught:
                    await call
                shown += messages_of(caught.value)
                if status == 407:
                    assert not isinstance(caught.value, ApiError) or type(caught.value) is WrongAddress
    assert any(basic in head for head in heads), "the proxy received its password"
    messages = "\n".join([*shown, caplog.text])
    messages.encode()
    assert HIDDEN in messages
    for secret in (*spellings(PASSWORD), basic):
        assert secret not in messages


def test_a_run_behind_a_refusing_proxy_says_so_without_the_password(cli: CommandLine) -> None:
    with raw_server(
        lambda request: [b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"]
    ) as server:
        cli.use_account("https://api.example.com/api/v3")
        cli.monkeypatch.setenv("https_proxy", f"http://anna:{ENCODED}@127.0.0.1:{server.port}")
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("a")]), "--log-level", "debug")
    assert (result.exit_code, rows[0]["status"]) == (3, "not_attempted")
    output = result.stdout + result.stderr + (cli.folder / "results.csv").read_text("utf-8")
    assert "407" in output
    assert not any(secret in output for secret in spellings(PASSWORD))


@pytest.mark.parametrize(
    "proxy",
    [
        "http://anna:se#cret@127.0.0.1:3128",
        "http://127.0.0.1:port",
        "socks5://127.0.0.1:1",
        "http://anna:se#cret@127.0.0.1:99999",
        "http://anna:se#cret@[127.0.0.1:3128",
        "http://",
        "http://a\udcff:80",
    ],
)
def test_an_invalid_proxy_url_is_reported_but_not_shown(cli: CommandLine, proxy: str) -> None:
    cli.use_account("https://api.example.com/api/v3")
    cli.monkeypatch.setenv("https_proxy", proxy)
    result, _ = cli.run(cli.write_csv("rows.csv", [imap("a")]))
    output = result.stdout + result.stderr
    assert result.exit_code == 2
    assert "The proxy in the environment for https URLs is invalid" in output
    assert "se#cret" not in output


async def test_a_proxy_url_may_omit_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(lambda request: [b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{server.port}")
        async with Api("http://api.example.com/api/v3", Pace(None), token="t") as api:
            assert await api.delete("7")
    assert server.requests[0].request_line == "DELETE http://api.example.com/api/v3/monitors/7"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_requests_to_this_machine_never_go_through_a_proxy(
    host: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain HTTP is allowed for this machine, and a proxy would get the password unencrypted."""
    with raw_server(lambda request: [b"HTTP/1.1 204 No Content\r\n\r\n"]) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{proxy.port}")
        async with Api(f"{scheme}://{host}:9/api/v3", Pace(None), token="t") as api:
            with pytest.raises(ApiError):
                await api.create("email-imap", b"{}")
    assert proxy.requests == []


def test_the_sandbox_works_behind_a_proxy(cli: CommandLine) -> None:
    with raw_server(lambda request: [b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"]) as proxy:
        for name in ("http_proxy", "https_proxy"):
            cli.monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("a")]), "--sandbox")
    assert (result.exit_code, rows[0]["status"]) == (0, "created")
    assert proxy.requests == []


@pytest.mark.parametrize(
    "base_url",
    [
        "https://anna:s3cret-pw@api.example.com/api/v3",
        "https://anna:s3cret-pw@[api.example.com",
        "https://anna:s3cr#et-pw@api.example.com",
        "http://anna:s3cret-pw@127.0.0.1:99999",
        "anna:s3cret-pw@api.example.com",
        "ftp://anna:s3cret-pw@api.example.com",
        "https://api.example.com/?token=s3cret-pw",
        "https://api.example.com/\n?token=s3cret-pw",
    ],
)
def test_a_secret_in_the_base_url_is_not_shown(cli: CommandLine, base_url: str) -> None:
    cli.use_account(base_url)
    result, _ = cli.run(cli.write_csv("rows.csv", [imap("a")]), "--json")
    assert result.exit_code == 2
    assert "ALERTSITE_BASE_URL" in result.stderr
    assert "s3cr" not in result.stdout + result.stderr


@pytest.mark.parametrize("base_url", ["https://api.example.com:99999/x", "https://api.example.com:abc", "https://[::1"])
def test_an_invalid_address_is_refused_before_anything_is_read(cli: CommandLine, base_url: str) -> None:
    cli.use_account(base_url)
    result, _ = cli.run(cli.write_csv("rows.csv", [imap("a")]))
    assert result.exit_code == 2
    assert f"ALERTSITE_BASE_URL is '{base_url}'; a URL with a valid host and a port from 1" in result.stderr
    assert not (cli.folder / "output").exists()


async def test_a_password_that_is_echoed_later_is_hidden_too() -> None:
    """A debugging server may include the whole session in a response."""
    response = FakeResponse(
        content={"errors": [{"code": 400, "message": f"{PASSWORD} {ENCODED} {json.dumps(PASSWORD)}"}]}, status=400
    )
    with fake_api(lambda request: response) as server:
        async with Api(server.base_url, Pace(None), username="u", password=PASSWORD) as api:
            with pytest.raises(ApiError) as caught:
                await api.create("email-imap", b"{}")
    assert str(caught.value) == f'{HIDDEN} {HIDDEN} "{HIDDEN}"'


def test_a_secret_is_hidden_in_every_encoding() -> None:
    for secret in ("c@nary/p%ss", 'a"b\\c&d<e>', "päss wörd", "aaaa%2Fbbbb"):
        for text in (*spellings(secret), json.dumps(secret, ensure_ascii=False)[1:-1]):
            assert hide(f"<{text}>", [secret]) == f"<{HIDDEN}>", (secret, text)
    assert hide("tokens are four", ["four", ""]) == "tokens are four"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://u:p@h:1/x", f"at http://{HIDDEN}@h:1/x"),
        ("at http://u:p@ss@h:1/x@y", f"at http://{HIDDEN}@h:1/x@y"),
        (r"at http:\/\/u:p@h\/x", rf"at http:\/\/{HIDDEN}@h\/x"),
        ("at //token@h", f"at //{HIDDEN}@h"),
        ("write to a@b.example", "write to a@b.example"),
        ("http://h/a@b", "http://h/a@b"),
    ],
)
def test_no_url_is_shown_with_user_and_password(text: str, shown: str) -> None:
    assert hide(text) == shown


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

INVALID_TOKENS = [
    "",
    " ",
    "canary token",
    "canary\ntoken",
    "canary\r\nX-Other: 1",
    "canarytökén",
    "canary\0",
    "c\x7f",
    "c" * 8193,
]


@pytest.mark.parametrize("token", INVALID_TOKENS)
def test_a_login_that_returns_an_invalid_token_is_refused(cli: CommandLine, token: str) -> None:
    with fake_api(lambda request: list_response(), login=FakeResponse(content={"access_token": token})) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("a")]))
        assert (result.exit_code, rows[0]["status"], server.count("GET")) == (3, "not_attempted", 0)
    output = result.stdout + result.stderr
    assert "returned an invalid token" in output
    assert "canary" not in output


async def test_a_token_with_a_lone_surrogate_is_a_refused_login() -> None:
    with fake_api(lambda request: list_response(), login=FakeResponse(content='{"access_token": "\\ud83d"}')) as server:
        async with Api(server.base_url, Pace(None), username="u", password="p") as api:
            with pytest.raises(LoginRefused):
                await api.list_mail_monitors()


@pytest.mark.parametrize("token", [token for token in INVALID_TOKENS if token and "\0" not in token] + ["canary\udcff"])
def test_an_invalid_configured_token_is_reported_but_not_shown(cli: CommandLine, token: str) -> None:
    cli.use_account("http://127.0.0.1:9/")
    cli.monkeypatch.setenv("ALERTSITE_TOKEN", token)
    result, _ = cli.run(cli.write_csv("rows.csv", [imap("a")]))
    assert (result.exit_code, result.stderr.startswith("bulkload: ALERTSITE_TOKEN ")) == (2, True)
    assert "canary" not in result.stdout + result.stderr


def test_can_be_token() -> None:
    assert can_be_token("695573df9519132454d3f461179aaaf9")
    assert can_be_token("eyJhbGciOi.J9+/=~_-")
    assert not any(map(can_be_token, INVALID_TOKENS))
