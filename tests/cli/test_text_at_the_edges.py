"""Invalid Unicode in a response, a setting or a name is replaced or refused before it reaches the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.responses import MAX_MESSAGE_CHARS, decode
from bulkload.errors import Rejected
from tests.support.command_line import PLAN, ApiRequest, CommandLine, FakeResponse, fake_api, imap, list_response
from tests.support.paths import ROOT

HALF = "\\ud83d"  # half a surrogate pair, as JSON writes it


# ── responses ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"a\uDE00b"', "a\ufffdb"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'{"\ud83d": [{"a": "\ud83d"}, 1, null, true]}', {"\ufffd": [{"a": "\ufffd"}, 1, None, True]}),
        (b'"\xed\xa0\xbd"', "\ufffd"),
        ('"\ud83d"'.encode("utf-16", "surrogatepass"), "\ufffd"),
        (rb'"\\ud83d"', "\\ud83d"),
        ('"한국 😀"'.encode(), "한국 😀"),
        (b"[" * 900 + rb'"\ud83d"' + b"]" * 900, None),
        (b'"\xff"', None),
    ],
)
def test_half_a_surrogate_pair_in_a_response_is_replaced(body: bytes, value: object) -> None:
    decoded = decode(body)
    if body.startswith(b"[["):
        json.dumps(decoded, ensure_ascii=False).encode()  # it can be stored, however deep it is
    else:
        assert decoded == value


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_valid_text_is_not_changed(value: Any) -> None:
    assert decode(json.dumps(value).encode()) == decode(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.text(st.characters(), max_size=9))
def test_every_decoded_text_can_be_stored(text: str) -> None:
    json.dumps(decode(json.dumps({text: text}).encode()), ensure_ascii=False).encode()


@pytest.mark.parametrize("status", [200, 400, 403, 404, 408, 429, 500])
@pytest.mark.parametrize("content", [f'{{"errors": [{{"message": "no {HALF}"}}]}}', f"no {HALF}", "no \udcff"])
def test_a_response_with_half_a_surrogate_pair_is_recorded(cli: CommandLine, status: int, content: str) -> None:
    """Its message is stored with the row, whatever the status proves."""
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "600")
    answers = iter([FakeResponse(content={"id": "7"})])

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            return list_response()
        if (first := next(answers, None)) is not None:
            return first
        text = content.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return FakeResponse(content=text, status=status, headers={"Retry-After": "0"})

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("first"), imap("a")]))
    assert (rows[0]["status"], result.exit_code in (1, 3)) == ("created", True)
    assert "bug in bulkload" not in result.stderr


def test_a_list_with_half_a_surrogate_pair_is_read_and_compared(cli: CommandLine) -> None:
    item = {**imap("a"), "id": 7, "type": "email-imap", "note": "HALF"}
    other = {**imap("b HALF"), "id": 8, "type": "email-imap"}
    content = json.dumps({"results": [item, other]}).replace("HALF", HALF)
    with fake_api(
        lambda request: FakeResponse(content=content if request.path == "/monitors" else {"id": "9"})
    ) as server:
        cli.use_account(server.base_url)
        sheet = cli.write_csv("rows.csv", [imap("a", note="x"), imap("b \ufffd")])
        result, rows = cli.run(sheet, "--on-existing", "update")
        assert ([row["status"] for row in rows], result.exit_code) == (["updated", "exists"], 0)
        assert cli("export", "all.csv").exit_code == 0
    assert "b \ufffd" in (cli.folder / "all.csv").read_text("utf-8-sig")


async def test_a_long_refusal_is_cut() -> None:
    refusal = FakeResponse(content={"errors": [{"message": "no " * 100_000}]}, status=400)
    with fake_api(lambda request: refusal) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(Rejected) as caught:
                await api.create("email-imap", b"{}")
    assert len(str(caught.value)) == MAX_MESSAGE_CHARS


async def test_a_refusal_with_several_lines_becomes_one_line() -> None:
    refusal = FakeResponse(content={"errors": [{"message": "no\n\n name"}, {"message": "no\thost"}]}, status=400)
    with fake_api(lambda request: refusal) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(Rejected, match=r"^no name; no host$"):
                await api.create("email-imap", b"{}")


# ── settings and names ────────────────────────────────────────────────────────────────────────────────────────

CSV = f"type,name,hostname,billing_plancode\nimap,a,mx1.example.com,{PLAN}\n".encode()


def run(folder: bytes | Path, *arguments: bytes, **variables: bytes) -> tuple[int, str]:
    """Run the program in its own process, with names of any bytes; returns its exit code and stderr."""
    kept = {
        name.encode(): value.encode() for name, value in os.environ.items() if not name.startswith(("BULK", "ALERT"))
    }
    added = {name.encode(): value for name, value in variables.items()}
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"bulkload", *arguments],
        cwd=folder,
        env={**kept, b"PYTHONPATH": os.fsencode(ROOT), **added},
        capture_output=True,
        timeout=120,
    )
    output = (done.stdout + done.stderr).decode()
    assert "Traceback" not in output
    assert "bug in bulkload" not in output
    return done.returncode, done.stderr.decode()


VARIABLES = [
    "ALERTSITE_USERNAME",
    "ALERTSITE_PASSWORD",
    "ALERTSITE_PASSWORD_FILE",
    "ALERTSITE_BASE_URL",
    "BULKLOAD_OUTPUT",
    "BULKLOAD_RESULTS",
    "BULKLOAD_SET",
    "BULKLOAD_MAP",
    "BULKLOAD_SHEET",
    "BULKLOAD_METRICS",
    "BULKLOAD_RATE",
]


@pytest.mark.parametrize("variable", [*VARIABLES, "ALERTSITE_TOKEN"])
def test_a_variable_that_is_not_utf8_is_named_but_its_value_is_not_shown(tmp_path: Path, variable: str) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    value = b"note=canary\xff.csv"
    exit_code, stderr = run(tmp_path, b"run", b"a.csv", b"--sandbox", **{variable: value})
    assert (exit_code, stderr) == (2, f"bulkload: {variable} is not valid UTF-8.\n")


@pytest.mark.parametrize(
    "variable",
    ["ALERTSITE_USERNAME", "ALERTSITE_PASSWORD_FILE", "BULKLOAD_OUTPUT", "BULKLOAD_SHEET", "BULKLOAD_METRICS"],
)
@pytest.mark.parametrize("character", ["\n", "\x1b", "\x7f", "\x85"])
def test_a_name_with_a_control_character_is_refused(cli: CommandLine, variable: str, character: str) -> None:
    cli.monkeypatch.setenv(variable, f"a{character}b")
    result = cli("check", cli.write_csv("rows.csv", [imap("a")]))
    assert (result.exit_code, f"{variable} contains a control character" in result.stderr) == (2, True)


def test_an_address_with_a_line_break_is_refused(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("ALERTSITE_BASE_URL", "https://api.example.com/a\nb")
    result = cli("check", cli.write_csv("rows.csv", [imap("a")]))
    assert (result.exit_code, "ALERTSITE_BASE_URL is" in result.stderr) == (2, True)


def test_a_path_with_a_nul_in_the_settings_file_is_refused(cli: CommandLine) -> None:
    (cli.folder / "bulkload.toml").write_text('output = "a\\u0000b"\n', "utf-8")
    result = cli("check", cli.write_csv("rows.csv", [imap("a")]))
    assert result.exit_code == 2
    assert "output in bulkload.toml contains a control character" in result.stderr


def test_a_variable_with_several_values_has_one_per_line(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("BULKLOAD_SET", "interval=5\nnote=a")
    cli.monkeypatch.setenv("BULKLOAD_RESULTS", "one.csv\ntwo.csv")
    assert cli("check", cli.write_csv("rows.csv", [imap("a")])).exit_code == 0
    assert (cli.folder / "one.csv").exists()
    assert (cli.folder / "two.csv").exists()


def test_a_password_may_contain_any_character(cli: CommandLine) -> None:
    with fake_api(lambda request: list_response()) as server:
        cli.use_account(server.base_url, password="pässwörd \t😀")
        assert cli("plan", cli.write_csv("rows.csv", [imap("a")])).exit_code == 0
        assert server.requests[0].body["password"] == "pässwörd \t😀"


@pytest.mark.parametrize("command", [b"run", b"check", b"plan", b"inbox"])
def test_an_argument_that_is_not_utf8_is_refused_with_a_message(tmp_path: Path, command: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.csv").rename(tmp_path / os.fsdecode(b"m\xfcll.csv"))
    exit_code, stderr = run(tmp_path, command, b"m\xfcll.csv", b"--sandbox")
    assert (exit_code, stderr.startswith("bulkload: ")) == (2, True)


def test_the_name_of_the_current_folder_need_not_be_utf8(tmp_path: Path) -> None:
    """Stored names are relative to it."""
    folder = tmp_path / os.fsdecode(b"m\xfcll")
    (folder / "box").mkdir(parents=True)
    for name in ("a.csv", "box/b.csv"):
        (folder / name).write_bytes(CSV)
    assert run(folder, b"run", b"a.csv", b"--sandbox")[0] == 0
    assert run(folder, b"runs")[0] == 0
    assert run(folder, b"export", b"all.csv", b"--sandbox")[0] == 0
    assert run(folder, b"inbox", b"box", b"--sandbox", b"--prune")[0] == 0
    assert run(folder, b"inbox", b".", b"--sandbox", b"--json", b"--log-format", b"json")[0] == 0


def test_a_folder_whose_name_would_be_stored_and_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The store is in another folder, so the path from there is stored; the same with a symbolic link."""
    box = tmp_path / os.fsdecode(b"m\xfcll") / "box"
    box.mkdir(parents=True)
    (box / "a.csv").write_bytes(CSV)
    (tmp_path / "link").symlink_to(box)
    for folder, name in ((box.parent, b"box"), (tmp_path, b"link")):
        exit_code, stderr = run(folder, b"inbox", name, b"--sandbox", b"--output", os.fsencode(tmp_path / "store"))
        assert (exit_code, stderr.count("\n")) == (2, 1)
        assert "\\xfcll/box is not valid UTF-8; rename it." in stderr
    assert (box / "a.csv").exists()


def test_the_inbox_processes_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    for name in (b"/box/m\xe4il.csv", b"/box/other.csv"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CSV.replace(b",a,", b"," + name[5:8].replace(b"\xe4", b"x") + b","))
    exit_code, stderr = run(tmp_path, b"inbox", b"box", b"--sandbox", BULKLOAD_UNCHANGED_FOR=b"0.1")
    assert exit_code == 0
    assert "m_il.csv: 1 created." in stderr
    assert "other.csv: 1 created." in stderr
