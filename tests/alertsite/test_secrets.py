"""No text about a request holds a secret, in whatever spelling, also not that of the proxy on the way."""

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
from tests.support.command_line import Desk, Said, imap, listed, scripted
from tests.support.raw_server import Heard, raw_server

PASSWORD = "c@nary#pa%ss/w:rd"
ENCODED = quote(PASSWORD, safe="")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def ready() -> None:
    return None


def words_of(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from (str(error), repr(error), *map(str, error.args))
        error = error.__cause__ or error.__context__


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote(secret, safe="").lower(), json.dumps(secret)[1:-1]}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [407, 403, 502])
async def test_a_proxy_that_refuses_does_not_give_its_password_away(
    scheme: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the words, nor in what caused them, nor in the log, though the proxy says back what it was sent."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("bulkload").propagate = True
    monkeypatch.setattr("bulkload.alertsite.client.SAFE_BACK_OFF", 0.0)
    asked: list[str] = []
    basic = base64.b64encode(f"anna:{PASSWORD}".encode()).decode()

    def answer(heard: Heard) -> list[bytes]:
        asked.append(heard.head)
        text = (
            f"{basic} //anna:{PASSWORD}@proxy http:\\/\\/anna:{ENCODED}@proxy {ENCODED.lower()} {heard.head}".encode()
        )
        reason = f"X anna:{PASSWORD} \udcff".encode("utf-8", "surrogateescape")
        return [f"HTTP/1.1 {status} ".encode() + reason + f"\r\nContent-Length: {len(text)}\r\n\r\n".encode(), text]

    with raw_server(answer) as server:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://anna:{ENCODED}@127.0.0.1:{server.port}")
        shown: list[str] = []
        async with Api(f"{scheme}://127.0.0.1:9/api/v3", Pace(None), token="t") as api:
            for call in (api.create("email-imap", b"{}", ready), api.list_mail_monitors()):
                with pytest.raises((ApiError, BulkloadError)) as caught:
                    await call
                shown += words_of(caught.value)
                if status == 407:
                    assert not isinstance(caught.value, ApiError) or type(caught.value) is WrongAddress
    assert any(basic in head for head in asked), "the proxy got its password"
    words = "\n".join([*shown, caplog.text])
    words.encode()
    assert HIDDEN in words
    for secret in (*spellings(PASSWORD), basic):
        assert secret not in words


def test_a_run_behind_a_proxy_that_refuses_tells_so_without_the_password(desk: Desk) -> None:
    with raw_server(
        lambda heard: [b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"]
    ) as server:
        desk.log_in_at("https://127.0.0.1:9/api/v3")
        desk.environment.setenv("https_proxy", f"http://anna:{ENCODED}@127.0.0.1:{server.port}")
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("a")]), "--log-level", "debug")
    assert (ended.exit_code, rows[0]["status"]) == (3, "not_attempted")
    told = ended.stdout + ended.stderr + (desk.folder / "results.csv").read_text("utf-8")
    assert "407" in told
    assert not any(secret in told for secret in spellings(PASSWORD))


@pytest.mark.parametrize(
    "named",
    [
        "http://anna:se#cret@127.0.0.1:3128",
        "http://127.0.0.1:port",
        "socks5://127.0.0.1:1",
        "http://",
        "http://a\udcff:80",
    ],
)
def test_a_proxy_that_is_no_address_is_named_and_not_shown(desk: Desk, named: str) -> None:
    desk.log_in_at("https://127.0.0.1:9/api/v3")
    desk.environment.setenv("https_proxy", named)
    ended, _ = desk.run(desk.sheet("rows.csv", [imap("a")]))
    told = ended.stdout + ended.stderr
    assert ended.exit_code == 2
    assert "The proxy that the environment names for https addresses is not of the form" in told
    assert "se#cret" not in told


async def test_a_proxy_may_be_named_without_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(lambda heard: [b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{server.port}")
        async with Api("http://127.0.0.1:9/api/v3", Pace(None), token="t") as api:
            assert await api.delete("7")
    assert server.heard[0].line == "DELETE http://127.0.0.1:9/api/v3/monitors/7"


async def test_a_password_that_is_said_back_later_is_hidden_too() -> None:
    """A debugging server may show the whole session."""
    said = Said(
        content={"errors": [{"code": 400, "message": f"{PASSWORD} {ENCODED} {json.dumps(PASSWORD)}"}]}, status=400
    )
    with scripted(lambda asked: said) as server:
        async with Api(server.base_url, Pace(None), username="u", password=PASSWORD) as api:
            with pytest.raises(ApiError) as caught:
                await api.create("email-imap", b"{}", ready)
    assert str(caught.value) == f'{HIDDEN} {HIDDEN} "{HIDDEN}"'


def test_a_secret_is_hidden_however_it_is_spelled() -> None:
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
def test_no_address_is_shown_with_user_and_password(text: str, shown: str) -> None:
    assert hide(text) == shown


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

NO_TOKENS = [
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


@pytest.mark.parametrize("token", NO_TOKENS)
def test_a_login_that_gives_what_no_header_can_carry_is_refused(desk: Desk, token: str) -> None:
    with scripted(lambda asked: listed(), login=Said(content={"access_token": token})) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("a")]))
        assert (ended.exit_code, rows[0]["status"], server.count("GET")) == (3, "not_attempted", 0)
    told = ended.stdout + ended.stderr
    assert "answered with a token that cannot be used" in told
    assert "canary" not in told


async def test_a_token_that_is_half_a_character_is_a_refused_login() -> None:
    with scripted(lambda asked: listed(), login=Said(content='{"access_token": "\\ud83d"}')) as server:
        async with Api(server.base_url, Pace(None), username="u", password="p") as api:
            with pytest.raises(LoginRefused):
                await api.list_mail_monitors()


@pytest.mark.parametrize("token", [one for one in NO_TOKENS if one and "\0" not in one] + ["canary\udcff"])
def test_a_given_token_that_no_header_can_carry_is_named_and_not_shown(desk: Desk, token: str) -> None:
    desk.log_in_at("http://127.0.0.1:9/")
    desk.environment.setenv("ALERTSITE_TOKEN", token)
    ended, _ = desk.run(desk.sheet("rows.csv", [imap("a")]))
    assert (ended.exit_code, ended.stderr.startswith("bulkload: ALERTSITE_TOKEN ")) == (2, True)
    assert "canary" not in ended.stdout + ended.stderr


def test_what_can_be_a_token() -> None:
    assert can_be_token("695573df9519132454d3f461179aaaf9")
    assert can_be_token("eyJhbGciOi.J9+/=~_-")
    assert not any(map(can_be_token, NO_TOKENS))
