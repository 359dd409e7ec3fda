"""What is no text gets no further than the edge: not from an answer, a setting, or a name."""

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
from tests.support.command_line import PLAN, Asked, Desk, Said, imap, listed, scripted
from tests.support.paths import ROOT

HALF = "\\ud83d"  # as JSON spells it


async def ready() -> None:
    return None


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────


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
def test_half_a_character_in_an_answer_is_replaced(body: bytes, value: object) -> None:
    found = decode(body)
    if body.startswith(b"[["):
        json.dumps(found, ensure_ascii=False).encode()  # however deep it may be, it can be stored
    else:
        assert found == value


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_text_of_whole_characters_is_left_alone(value: Any) -> None:
    assert decode(json.dumps(value).encode()) == decode(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.text(st.characters(), max_size=9))
def test_whatever_is_escaped_every_text_can_be_stored(text: str) -> None:
    json.dumps(decode(json.dumps({text: text}).encode()), ensure_ascii=False).encode()


@pytest.mark.parametrize("status", [200, 400, 403, 404, 408, 429, 500])
@pytest.mark.parametrize("content", [f'{{"errors": [{{"message": "no {HALF}"}}]}}', f"no {HALF}", "no \udcff"])
def test_a_row_that_is_answered_with_half_a_character_is_recorded(desk: Desk, status: int, content: str) -> None:
    """What the answer says is stored with the row, whatever it proves."""
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "600")
    answers = iter([Said(content={"id": "7"})])

    def answer(asked: Asked) -> Said:
        if asked.method == "GET":
            return listed()
        if (first := next(answers, None)) is not None:
            return first
        text = content.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Said(content=text, status=status, headers={"Retry-After": "0"})

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("first"), imap("a")]))
    assert (rows[0]["status"], ended.exit_code in (1, 3)) == ("created", True)
    assert "bug in bulkload" not in ended.stderr


def test_a_list_that_shows_half_a_character_is_read_and_compared(desk: Desk) -> None:
    item = {**imap("a"), "id": 7, "type": "email-imap", "note": "HALF"}
    other = {**imap("b HALF"), "id": 8, "type": "email-imap"}
    content = json.dumps({"results": [item, other]}).replace("HALF", HALF)
    with scripted(lambda asked: Said(content=content if asked.path == "/monitors" else {"id": "9"})) as server:
        desk.log_in_at(server.base_url)
        sheet = desk.sheet("rows.csv", [imap("a", note="x"), imap("b \ufffd")])
        ended, rows = desk.run(sheet, "--on-existing", "update")
        assert ([row["status"] for row in rows], ended.exit_code) == (["updated", "exists"], 0)
        assert desk("export", "all.csv").exit_code == 0
    assert "b \ufffd" in (desk.folder / "all.csv").read_text("utf-8-sig")


async def test_a_refusal_without_end_is_cut() -> None:
    said = Said(content={"errors": [{"message": "no " * 100_000}]}, status=400)
    with scripted(lambda asked: said) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(Rejected) as caught:
                await api.create("email-imap", b"{}", ready)
    assert len(str(caught.value)) == MAX_MESSAGE_CHARS


async def test_a_refusal_of_several_lines_is_one_line() -> None:
    said = Said(content={"errors": [{"message": "no\n\n name"}, {"message": "no\thost"}]}, status=400)
    with scripted(lambda asked: said) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(Rejected, match=r"^no name; no host$"):
                await api.create("email-imap", b"{}", ready)


# ── settings and names ────────────────────────────────────────────────────────────────────────────────────────

CSV = f"type,name,hostname,billing_plancode\nimap,a,mx1.example.com,{PLAN}\n".encode()


def run(folder: bytes | Path, *arguments: bytes, **around: bytes) -> tuple[int, str]:
    """Run the program as its own process, with names of any bytes; gives what it told on stderr."""
    keep = {
        name.encode(): value.encode() for name, value in os.environ.items() if not name.startswith(("BULK", "ALERT"))
    }
    given = {name.encode(): value for name, value in around.items()}
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"bulkload", *arguments],
        cwd=folder,
        env={**keep, b"PYTHONPATH": os.fsencode(ROOT), **given},
        capture_output=True,
        timeout=120,
    )
    told = (done.stdout + done.stderr).decode()
    assert "Traceback" not in told
    assert "bug in bulkload" not in told
    return done.returncode, done.stderr.decode()


NO_TEXT = [
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


@pytest.mark.parametrize("variable", [*NO_TEXT, "ALERTSITE_TOKEN"])
def test_a_variable_that_is_not_utf8_is_named_and_not_shown(tmp_path: Path, variable: str) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    value = b"note=canary\xff.csv"
    code, told = run(tmp_path, b"run", b"a.csv", b"--sandbox", **{variable: value})
    assert (code, told) == (
        2,
        f"bulkload: {variable} is not text in UTF-8, as every name and value has to be.\n",
    )


@pytest.mark.parametrize(
    "variable",
    ["ALERTSITE_USERNAME", "ALERTSITE_PASSWORD_FILE", "BULKLOAD_OUTPUT", "BULKLOAD_SHEET", "BULKLOAD_METRICS"],
)
@pytest.mark.parametrize("sign", ["\n", "\x1b", "\x7f", "\x85"])
def test_a_name_with_a_control_character_is_refused(desk: Desk, variable: str, sign: str) -> None:
    desk.environment.setenv(variable, f"a{sign}b")
    ended = desk("check", desk.sheet("rows.csv", [imap("a")]))
    assert (ended.exit_code, f"{variable} has a control character" in ended.stderr) == (2, True)


def test_an_address_with_a_line_break_is_refused(desk: Desk) -> None:
    desk.environment.setenv("ALERTSITE_BASE_URL", "https://api.example.com/a\nb")
    ended = desk("check", desk.sheet("rows.csv", [imap("a")]))
    assert (ended.exit_code, "ALERTSITE_BASE_URL is" in ended.stderr) == (2, True)


def test_a_path_in_the_settings_file_with_a_nul_is_refused(desk: Desk) -> None:
    (desk.folder / "bulkload.toml").write_text('output = "a\\u0000b"\n', "utf-8")
    ended = desk("check", desk.sheet("rows.csv", [imap("a")]))
    assert ended.exit_code == 2
    assert "output in bulkload.toml has a control character" in ended.stderr


def test_several_lines_are_good_where_there_can_be_several(desk: Desk) -> None:
    desk.environment.setenv("BULKLOAD_SET", "interval=5\nnote=a")
    desk.environment.setenv("BULKLOAD_RESULTS", "one.csv\ntwo.csv")
    assert desk("check", desk.sheet("rows.csv", [imap("a")])).exit_code == 0
    assert (desk.folder / "one.csv").exists()
    assert (desk.folder / "two.csv").exists()


def test_a_password_with_any_characters_of_text_is_good(desk: Desk) -> None:
    with scripted(lambda asked: listed()) as server:
        desk.log_in_at(server.base_url, password="pässwörd \t😀")
        assert desk("plan", desk.sheet("rows.csv", [imap("a")])).exit_code == 0
        assert server.asked[0].body["password"] == "pässwörd \t😀"


@pytest.mark.parametrize("command", [b"run", b"check", b"plan", b"inbox"])
def test_a_given_name_that_is_not_utf8_is_refused_in_a_sentence(tmp_path: Path, command: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.csv").rename(tmp_path / os.fsdecode(b"m\xfcll.csv"))
    code, told = run(tmp_path, command, b"m\xfcll.csv", b"--sandbox")
    assert (code, told.startswith("bulkload: ")) == (2, True)


def test_a_current_folder_whose_name_is_not_utf8_is_as_good_as_any(tmp_path: Path) -> None:
    """Names are relative to it, and so is what is stored."""
    folder = tmp_path / os.fsdecode(b"m\xfcll")
    (folder / "box").mkdir(parents=True)
    for name in ("a.csv", "box/b.csv"):
        (folder / name).write_bytes(CSV)
    assert run(folder, b"run", b"a.csv", b"--sandbox")[0] == 0
    assert run(folder, b"runs")[0] == 0
    assert run(folder, b"export", b"all.csv", b"--sandbox")[0] == 0
    assert run(folder, b"inbox", b"box", b"--sandbox", b"--prune")[0] == 0
    assert run(folder, b"inbox", b".", b"--sandbox", b"--json", b"--log-format", b"json")[0] == 0


def test_a_folder_whose_name_is_not_utf8_and_would_be_stored_is_refused(tmp_path: Path) -> None:
    """The store lies elsewhere, so the way from there to the folder is stored; a link can lead there, too."""
    box = tmp_path / os.fsdecode(b"m\xfcll") / "box"
    box.mkdir(parents=True)
    (box / "a.csv").write_bytes(CSV)
    (tmp_path / "link").symlink_to(box)
    for folder, name in ((box.parent, b"box"), (tmp_path, b"link")):
        code, told = run(folder, b"inbox", name, b"--sandbox", b"--output", os.fsencode(tmp_path / "store"))
        assert (code, told.count("\n")) == (2, 1)
        assert "\\xfcll/box is not valid UTF-8; rename it." in told
    assert (box / "a.csv").exists()


def test_the_inbox_names_a_file_whose_name_is_not_utf8_and_goes_on(tmp_path: Path) -> None:
    for name in (b"/box/m\xe4il.csv", b"/box/other.csv"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CSV.replace(b",a,", b"," + name[5:8].replace(b"\xe4", b"x") + b","))
    code, told = run(tmp_path, b"inbox", b"box", b"--sandbox", BULKLOAD_UNCHANGED_FOR=b"0.1")
    assert code == 0
    assert "m_il.csv: 1 created." in told
    assert "other.csv: 1 created." in told
