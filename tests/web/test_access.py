"""Only who knows the key gets in, and only our own pages can do something."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from bulkload.errors import InputError, Locked, UsageError
from bulkload.settings import Account
from bulkload.web.access import local_address
from bulkload.web.attempts import MAX_CLIENTS, MAX_WAITING, Attempts
from bulkload.web.credentials import MAX_SESSIONS, Credentials
from bulkload.web.origins import host_of, port_of
from bulkload.web.rendering import static_address
from bulkload.web.responses import SECURITY_HEADERS, content_disposition
from bulkload.web.server import Server
from tests.support.upload_page import Answer, UploadPage, upload_page

KEY = "correct horse battery staple"
FORM = "Access key needed"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


# ── the key ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_link_with_the_key_sets_the_cookie_and_goes_to_the_same_page_without_the_key(page: UploadPage) -> None:
    entered = page.ask("GET", f"/?q=a%26b&key={page.key}&x=", cookie="", Sec_Fetch_Site="cross-site")
    assert (entered.status, entered.goes_to) == (200, "/?q=a%26b&x=")
    assert page.key not in entered.text
    attributes = set((entered.headers["Set-Cookie"]).split("; ")[1:])
    assert attributes == {"HttpOnly", "Path=/", "SameSite=Strict"}
    assert str(page.port) in entered.cookie.partition("=")[0]
    assert page.ask("GET", "/", cookie=entered.cookie).status == 200


def test_each_browser_has_a_session_of_its_own(page: UploadPage) -> None:
    other = page.ask("GET", f"/?key={page.key}", cookie="").cookie
    assert other != page.cookie
    token = page.ask("GET", "/test-token", cookie=other).text
    assert token != page.token
    assert page.ask("POST", "/test-action", {"token": token}).status == 403
    assert page.ask("POST", "/test-action", {"token": token}, cookie=other).status == 200


def test_who_has_access_keeps_it_with_any_key(page: UploadPage) -> None:
    answer = page.ask("GET", "/test-user?key=old")
    assert (answer.status, answer.headers["Location"], answer.cookie) == (303, "/test-user", "")


@pytest.mark.parametrize("path", ["/", "/drafts/1", "/missing"])
def test_without_the_key_there_is_only_the_question_for_it(page: UploadPage, path: str) -> None:
    answer = page.ask("GET", path, cookie="", Sec_Fetch_Site="none")
    assert answer.status == 401
    assert FORM in answer.text
    assert f'name="next" value="{path}"' in answer.text
    assert page.ask("POST", path, {"token": page.token}, cookie="").status == 401


def test_a_link_on_another_site_loads_the_page_again_once(page: UploadPage) -> None:
    """The browser does not send the cookie with the first request, but with the second, which our page causes."""
    first = page.ask("GET", "/test-user?a=1", cookie="", Sec_Fetch_Site="cross-site")
    assert (first.status, first.goes_to) == (401, "/test-user?a=1&again=1")
    second = page.ask("GET", first.goes_to, Sec_Fetch_Site="same-origin")
    assert (second.status, second.headers["Location"]) == (303, "/test-user?a=1")


@pytest.mark.parametrize("header", ["Sec_Fetch_Site", "X_Other"])
def test_a_browser_without_the_cookie_is_asked_for_the_key_the_second_time(page: UploadPage, header: str) -> None:
    first = page.ask("GET", "/drafts/1", None, cookie="", **{header: "cross-site"})
    second = page.ask("GET", first.goes_to, None, cookie="", **{header: "cross-site"})
    assert (second.status, second.goes_to) == (401, "")
    assert 'name="next" value="/drafts/1"' in second.text


@pytest.mark.parametrize(
    "forge",
    [
        lambda cookie: cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        lambda cookie: cookie.partition(".")[0] + ".",
        lambda cookie: cookie.partition(".")[0],
        lambda cookie: cookie.partition("=")[0] + "=." + "0" * 64,
        lambda cookie: cookie.replace("=", "=A", 1),
        lambda cookie: cookie.partition("=")[0] + "=\u00e9.\u00e9",
    ],
)
def test_a_forged_cookie_is_no_access(page: UploadPage, forge: object) -> None:
    assert callable(forge)
    forged = forge(page.cookie).encode().decode("latin-1")
    assert page.ask("GET", "/", cookie=forged).status == 401


def test_a_form_token_is_no_signature_of_a_cookie(page: UploadPage) -> None:
    assert page.ask("GET", "/", cookie=f"{page.cookie.partition('.')[0]}.{page.token}").status == 401


def test_the_cookie_of_another_key_is_no_access(page: UploadPage, tmp_path: Path) -> None:
    with upload_page(tmp_path / "other") as other:
        cookie = other.cookie.replace(str(other.port), str(page.port), 1)
        assert page.ask("GET", "/", cookie=cookie).status == 401


@pytest.mark.parametrize("wrong", ["wrong", "", "wr\u00f6ng"])
def test_a_wrong_key_is_refused_with_the_form(page: UploadPage, wrong: str) -> None:
    by_form = page.ask("POST", "/login", {"key": wrong, "next": "/runs"}, cookie="")
    assert (by_form.status, by_form.cookie) == (401, "")
    assert 'name="next" value="/runs"' in by_form.text
    assert ("not the access key" in by_form.text) == bool(wrong)
    by_link = page.ask("GET", f"/runs?key={quote(wrong)}", cookie="")
    assert (by_link.status, by_link.cookie) == (401, "")


def test_the_key_can_be_typed(page: UploadPage) -> None:
    answer = page.ask("POST", "/login", {"key": f" {page.key}\n", "next": "/runs?q=1"}, cookie="")
    assert (answer.status, answer.headers["Location"]) == (303, "/runs?q=1")
    assert page.ask("GET", "/", cookie=answer.cookie).status == 200
    assert page.ask("GET", "/login", cookie=answer.cookie).headers["Location"] == "/"


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/login",
        "/a\r\nSet-Cookie: a=b",
    ],
)
def test_no_way_leads_to_another_site(page: UploadPage, address: str) -> None:
    answer = page.ask("POST", "/login", {"key": page.key, "next": address}, cookie="")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert local_address(address) == "/"


def test_a_path_that_looks_like_another_site_is_not_gone_to(page: UploadPage) -> None:
    for cookie in ("", page.cookie):
        answer = page.ask("GET", f"//evil.example/?key={page.key}", cookie=cookie)
        assert (answer.headers["Location"] or answer.goes_to) == "/"


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_wrong_key_makes_the_next_one_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []

    async def sleep(delay: float) -> None:
        delays.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    attempts = Attempts()
    for _ in range(9):
        assert await attempts.wait("a")
    assert delays == [0, 0.25, 0.5, 1, 2, 4, 8, 15, 15]
    await attempts.wait("b")
    attempts.succeeded("a")
    await attempts.wait("a")
    assert delays[9:] == [0, 0]


async def test_few_attempts_wait_at_once_and_few_clients_are_remembered() -> None:
    attempts = Attempts()
    await attempts.wait("a")
    waiting = [asyncio.create_task(attempts.wait("a")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    assert not await attempts.wait("a")
    assert await attempts.wait("b"), "others do not wait"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for number in range(MAX_CLIENTS + 10):
        await attempts.wait(str(number))
    assert len(attempts._clients) == MAX_CLIENTS


def test_the_right_key_works_after_wrong_ones_and_others_do_not_wait(page: UploadPage) -> None:
    for _ in range(2):
        assert page.ask("POST", "/login", {"key": "wrong"}, cookie="").status == 401
    assert page.ask("GET", "/").status == 200
    assert page.ask("POST", "/login", {"key": page.key}, cookie="").status == 303


# ── requests that other sites cause ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", [None, "", "wrong", "t\u00f6ken"])
def test_a_form_without_its_token_does_nothing(page: UploadPage, token: str | None) -> None:
    form = {} if token is None else {"token": token}
    assert page.ask("POST", "/test-action", form).status == 403
    assert page.ask("POST", "/test-action", form, Content_Type="text/plain").status == 403
    assert page.ask("POST", "/test-action?token=" + page.token, form).status == 403
    assert page.upload(("file", "a.csv", b"a"), token=token or "").status == 403
    assert (page.seen, page.files()) == ([], [])


def test_the_token_of_a_form_can_be_a_field_or_a_header(page: UploadPage) -> None:
    assert page.ask("POST", "/test-action", {"token": page.token}).status == 200
    assert page.ask("POST", "/test-action", {}, X_Form_Token=page.token).status == 200
    assert page.ask("POST", "/test-action", {"token": page.token}, X_Form_Token="wrong").status == 403
    assert page.seen == ["action", "action"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://127.0.0.1:{port}@evil.example"},
        {"Origin": "nonsense"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_on_another_site_does_nothing_even_with_the_token(page: UploadPage, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=page.port) for name, value in headers.items()}
    assert page.ask("POST", "/test-action", {"token": page.token}, **sent).status == 403
    assert page.ask("POST", "/login", {"key": page.key}, cookie="", **sent).status == 403
    assert page.seen == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "null"}, {"Origin": "http://127.0.0.1:{port}"}, {"Origin": "https://127.0.0.1:{port}"}]
)
def test_a_form_of_our_own_pages_works(page: UploadPage, headers: dict[str, str]) -> None:
    sent = {name: value.format(port=page.port) for name, value in headers.items()}
    answer = page.ask("POST", "/test-action", {"token": page.token}, Sec_Fetch_Site="same-origin", **sent)
    assert answer.status == 200


# ── the host ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host", ["localhost:9001", "LOCALHOST", "127.0.0.1", "[::1]:8080", "127.0.0.1:1", "localhost."]
)
def test_this_machine_may_have_any_of_its_names_and_any_port(page: UploadPage, host: str) -> None:
    assert page.ask("GET", "/", cookie="", Host=host).status == 401
    assert page.ask("GET", f"/?key={page.key}", cookie="", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", "", "a@localhost", "[::1"],
)
def test_a_foreign_host_is_refused_and_the_option_named(page: UploadPage, host: str) -> None:
    for path in ("/", "/static/style.css", f"/?key={page.key}"):
        answer = page.ask("GET", path, Host=host)
        assert (answer.status, answer.cookie) == (403, "")
        assert "--allowed-host" in answer.text


def test_a_host_of_html_is_shown_as_text(page: UploadPage) -> None:
    assert "<script>" not in page.ask("GET", "/", Host="<script>alert(1)</script>").text


def test_a_further_host_can_be_allowed(tmp_path: Path) -> None:
    with upload_page(tmp_path / "output", allowed_host=["monitors.example.com"]) as page:
        host = "monitors.example.com"
        cookie = page.ask("GET", f"/?key={page.key}", cookie="", Host=host).cookie
        token = page.ask("GET", "/test-token", cookie=cookie, Host=host).text
        own, foreign = "https://monitors.example.com", "https://evil.example"
        form = {"token": token}
        assert page.ask("POST", "/test-action", form, cookie=cookie, Host=host, Origin=own).status == 200
        assert page.ask("POST", "/test-action", form, cookie=cookie, Host=host, Origin=foreign).status == 403
        assert page.ask("GET", "/", Host="evil.example").status == 403


def test_all_addresses_are_reached_by_their_own(tmp_path: Path, key_file: Path) -> None:
    with upload_page(tmp_path / "output", host="0.0.0.0", serve_key_file=key_file) as page:
        assert [page.ask("GET", "/", Host=host).status for host in ("127.0.0.1", "localhost")] == [401, 401]
        assert page.ask("GET", "/", Host="10.11.12.13").status == 403


@pytest.mark.parametrize(
    ("netloc", "host", "port"),
    [
        ("a.example:80", "a.example", "80"),
        ("A.example", "a.example", ""),
        ("[::1]:80", "::1", "80"),
        ("[::1]", "::1", ""),
        ("::1", "", "1"),
        ("a:b@c", "a", ""),
        ("", "", ""),
    ],
)
def test_a_host_header_is_split(netloc: str, host: str, port: str) -> None:
    assert (host_of(netloc), port_of(netloc)) == (host, port)


# ── the key file, and other machines ────────────────────────────────────────────────────────────────────────────────


def test_other_machines_need_a_key_file(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "monitors.example.com", ""):
        with pytest.raises(UsageError, match="BULKLOAD_SERVE_KEY_FILE"):
            upload_page(tmp_path, host=host).__enter__()


def test_the_key_of_a_file_is_not_in_the_address(tmp_path: Path, key_file: Path) -> None:
    with upload_page(tmp_path / "output", serve_key_file=key_file) as page:
        assert page.url == f"http://127.0.0.1:{page.port}/"
        assert page.ask("POST", "/login", {"key": KEY}, cookie="").status == 303


@pytest.mark.parametrize("content", ["4 of them", "fifteen chars..", "", "two\nlines of a key file"])
def test_a_key_that_is_too_short_is_refused(tmp_path: Path, key_file: Path, content: str) -> None:
    key_file.write_text(content)
    with pytest.raises(UsageError, match="key") as caught:
        upload_page(tmp_path, serve_key_file=key_file).__enter__()
    assert not content or content not in str(caught.value)


# ── the proxy ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_user_is_named_only_by_a_trusted_proxy(tmp_path: Path) -> None:
    with upload_page(tmp_path / "output", user_header="X-User", trusted_proxy=["127.0.0.2"]) as page:
        assert page.ask("GET", "/test-user", X_User="ann", peer="127.0.0.2").text == "ann"
        assert page.ask("GET", "/test-user", X_User="ann").text == ""


def test_the_header_is_ignored_unless_the_option_names_it(page: UploadPage, tmp_path: Path) -> None:
    assert page.ask("GET", "/test-user", X_User="ann", X_Remote_User="ann", Remote_User="ann").text == ""
    with upload_page(tmp_path / "other", trusted_proxy=["127.0.0.1"]) as other:
        assert other.ask("GET", "/test-user", X_User="ann").text == ""


def test_the_name_of_a_user_is_short_and_printable(tmp_path: Path) -> None:
    with upload_page(tmp_path / "output", user_header="X-User") as page:
        name = "J\u00fcrgen\u202e\u2028 <b>" + "x" * 200
        shown = page.ask("GET", "/test-user", X_User=name.encode().decode("latin-1")).text
        assert shown == ("J\u00fcrgen <b>" + "x" * 200)[:100]


def test_the_cookie_is_secure_if_a_trusted_proxy_uses_tls(page: UploadPage, tmp_path: Path) -> None:
    def is_secure(page: UploadPage) -> bool:
        answer = page.ask("GET", f"/?key={page.key}", cookie="", X_Forwarded_Proto="https")
        return "Secure" in answer.headers["Set-Cookie"]

    assert not is_secure(page)
    with upload_page(tmp_path / "other", trusted_proxy=["127.0.0.0/8"]) as proxied:
        assert is_secure(proxied)


# ── every response ──────────────────────────────────────────────────────────────────────────────────────────────────


def _raw(page: UploadPage, request: bytes) -> Answer:
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as connection:
        connection.sendall(request)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    import email.parser
    import http.client

    head, _, body = response.partition(b"\r\n\r\n")
    status, _, headers = head.partition(b"\r\n")
    message = email.parser.BytesParser(http.client.HTTPMessage).parsebytes(headers + b"\r\n\r\n")
    return Answer(status=int(status.split()[1]), headers=message, text=body.decode())


def _raising(page: UploadPage, app: web.Application) -> None:
    errors: Sequence[tuple[str, Exception]] = (
        ("/bug", ZeroDivisionError("canary")),
        ("/input", InputError("hosts.xlsx: <b>not</b> a workbook.\n  second line")),
        ("/locked", Locked("Another run is using it.")),
        ("/gone", web.HTTPNotFound(text="This draft was deleted.")),
        ("/moved", web.HTTPSeeOther("/elsewhere")),
    )
    for path, error in errors:

        async def handler(request: web.Request, error: Exception = error) -> web.Response:
            raise error

        app.router.add_get(path, handler)


def test_every_response_has_the_security_headers_and_names_no_version(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with upload_page(tmp_path / "output", add=_raising) as page:
        long_line = f"GET /?key={page.key}&{'x' * 9000} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        answers = {
            "page": page.ask("GET", "/"),
            "health": page.ask("GET", "/health"),
            "static": page.ask("GET", "/static/missing.css"),
            "link": page.ask("GET", f"/?key={page.key}", cookie=""),
            "no key": page.ask("GET", "/", cookie=""),
            "no token": page.ask("POST", "/test-action", {}),
            "foreign host": page.ask("GET", "/", Host="evil.example"),
            "missing": page.ask("GET", "/missing"),
            "method": page.ask("DELETE", "/", X_Form_Token=page.token),
            "too large": page.ask("POST", "/test-action", {"token": "x" * (5 << 20)}),
            "expectation": page.ask("GET", "/", Expect="miracles"),
            "no HTTP": _raw(page, b"\x16\x03\x01\x02\r\n\r\n"),
            "long line": _raw(page, long_line),
            **{path: page.ask("GET", path) for path in ("/bug", "/input", "/locked", "/gone", "/moved")},
        }
    for kind, answer in answers.items():
        missing = {name: value for name, value in SECURITY_HEADERS.items() if answer.headers.get_all(name) != [value]}
        assert missing == {}, kind
        assert answer.headers["Cache-Control"] == ("no-cache" if kind == "found" else "no-store"), kind
        assert not re.search(r"aiohttp|Python|Traceback|canary", f"{answer.headers}{answer.text}"), kind
        assert page.key not in answer.text, kind
    statuses = {kind: answer.status for kind, answer in answers.items()}
    assert statuses == {
        "page": 200, "health": 200, "static": 404, "link": 200, "no key": 401, "no token": 403, "foreign host": 403,
        "missing": 404, "method": 405, "too large": 413, "expectation": 417, "no HTTP": 400, "long line": 400,
        "/bug": 500, "/input": 400, "/locked": 409, "/gone": 404, "/moved": 303,
    }  # fmt: skip
    assert "hosts.xlsx: &lt;b&gt;not&lt;/b&gt; a workbook." in answers["/input"].text
    assert "This draft was deleted." in answers["/gone"].text
    stdout, stderr = capfd.readouterr()
    assert page.key not in stdout + stderr


def test_the_server_is_healthy_without_key_and_under_any_name(page: UploadPage) -> None:
    answer = page.ask("GET", "/health", cookie="", Host="10.0.0.1")
    assert (answer.status, answer.text) == (200, "ok\n")


def test_static_files_are_kept_for_as_long_as_they_are_the_same(page: UploadPage) -> None:
    current, other = (
        page.ask("GET", path, cookie="") for path in (static_address("style.css"), "/static/style.css?old")
    )
    assert current.text == other.text
    assert ".s-created {" in current.text
    assert current.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in current.headers["Cache-Control"]
    assert other.headers["Cache-Control"] == "no-cache"
    assert page.ask("GET", "/static/style.css", cookie="", If_None_Match=other.headers["ETag"]).status == 304
    for name in ("access.py", "..%2faccess.py", "%2e%2e/access.py", "style.css%00"):
        assert page.ask("GET", f"/static/{name}", cookie="").status in (401, 404)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hosts.xlsx", 'attachment; filename="hosts.xlsx"'),
        ("J\u00fcrgen.csv", "attachment; filename=\"J_rgen.csv\"; filename*=UTF-8''J%C3%BCrgen.csv"),
        ('a"\r\nSet-Cookie: b.csv', 'attachment; filename="a___Set-Cookie_ b.csv"'),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ("\ud800", 'attachment; filename="_"'),
        ("", 'attachment; filename="download"'),
    ],
)
def test_a_download_has_a_safe_name(name: str, value: str) -> None:
    assert content_disposition(name) == value


def test_a_long_download_keeps_its_suffix() -> None:
    assert content_disposition("x" * 300 + ".xlsx").endswith('x.xlsx"')


# ── credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_credentials_of_the_least_used_session_are_dropped() -> None:
    credentials = Credentials()
    accounts = [Account(username=str(number)) for number in range(MAX_SESSIONS + 1)]
    for number in range(MAX_SESSIONS):
        credentials.set(str(number), accounts[number])
    assert credentials.get("0") is accounts[0]
    credentials.set("new", accounts[-1])
    assert credentials.get("1") is None
    assert credentials.get("0") is accounts[0]
    credentials.forget("0")
    credentials.forget("0")
    assert credentials.get("0") is None


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        from bulkload.settings import Options

        server = Server(Account(), Options(output=tmp_path), "127.0.0.1", port)

        async def start() -> None:
            async with server.running():
                pass

        with pytest.raises(UsageError, match=f"^Port {port} of 127.0.0.1 is in use"):
            asyncio.run(start())
