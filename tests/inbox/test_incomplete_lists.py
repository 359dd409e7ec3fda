"""A file that has only some pages of a list creates its rows, needs attention, and never causes a deletion."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from typing import Any

import openpyxl
import pytest

from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine

WITH_PLAN = ("--set", "billing_plancode=UBM - A/A", "--prune", "--prune-limit", "100%")


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    return cli


def drop(cli: CommandLine, name: str, monitors: Iterable[str], total: int | None = None, *, age: float = 0) -> None:
    """Put a list of UptimeRobot into the inbox that says it has `total` monitors."""
    objects = [
        {"id": name, "friendly_name": name, "url": f"{name}.example.com", "type": 4, "sub_type": 4, "interval": 300}
        for name in monitors
    ]
    pagination = {"offset": 0, "limit": 50, "total": len(objects) if total is None else total}
    path = cli.folder / "box" / name
    path.write_text(json.dumps({"stat": "ok", "pagination": pagination, "monitors": objects}), "utf-8")
    os.utime(path, (time.time() - age, time.time() - age))


def night(cli: CommandLine, *more: str) -> tuple[int, dict[str, Any]]:
    result = cli("inbox", "box", *WITH_PLAN, *more, "--json")
    return result.exit_code, {file["name"]: file for file in result.json["files"]}


def names(sandbox: Sandbox) -> str:
    return "".join(sorted(str(monitor["name"]) for monitor in sandbox.monitors()))


def test_the_first_page_of_every_night_deletes_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    """The newest monitors come first, so every new one pushes an old one to the second page."""
    drop(cli, "list.json", "abc")
    assert night(cli)[0] == 0
    drop(cli, "list.json", "ced", total=5)
    code, files = night(cli)
    assert (code, files["list.json"]["counts"]) == (1, {"created": 2, "exists": 1})
    assert (files["list.json"]["fate"], files["list.json"]["gone"], files["list.json"]["deleted"]) == ("failed", 0, 0)
    assert "list is not complete (3 of 5 monitors), so 2 are missing" in files["list.json"]["problem"]
    assert "Nothing was deleted" in files["list.json"]["problem"]
    assert names(sandbox) == "abcde"
    drop(cli, "list.json", "ace")
    code, files = night(cli)
    assert (code, files["list.json"]["gone"], files["list.json"]["deleted"]) == (0, 2, 2)
    assert names(sandbox) == "ace"


def test_another_file_does_not_delete_what_may_be_on_a_missing_page(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail.json", "abc", age=90)
    drop(cli, "web.json", "cz", age=80)
    assert night(cli)[0] == 0
    drop(cli, "mail.json", "ab", age=70)
    drop(cli, "web.json", "z", total=2, age=60)
    code, files = night(cli)
    assert (code, files["mail.json"]["gone"], files["mail.json"]["deleted"], names(sandbox)) == (1, 1, 0, "abcz")
    drop(cli, "mail.json", "ab", age=50)
    drop(cli, "web.json", "z", age=40)
    code, files = night(cli)
    assert (code, files["mail.json"]["deleted"], names(sandbox)) == (0, 1, "abz")


def test_all_pages_as_one_array_are_the_whole_list(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "list.json", "abc")
    night(cli)
    pages = []
    for offset, name in enumerate("ab"):
        drop(cli, "list.json", name)
        page = json.loads((cli.folder / "box" / "list.json").read_text("utf-8"))
        pages.append(page | {"pagination": {"offset": offset, "limit": 1, "total": 2}})
    (cli.folder / "box" / "list.json").write_text(json.dumps(pages), "utf-8")
    code, files = night(cli)
    assert (code, files["list.json"]["deleted"], names(sandbox)) == (0, 1, "ab")


def write_csv(cli: CommandLine, monitors: Iterable[str], *, end: str = "\n") -> None:
    lines = ["type,hostname,port,name", *(f"imap,{name}.example.com,143,{name}" for name in monitors)]
    (cli.folder / "box" / "hosts.csv").write_text("\n".join(lines) + end, "utf-8")


def test_a_text_file_that_may_have_been_cut_off_deletes_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    write_csv(cli, "abc")
    assert night(cli)[0] == 0
    write_csv(cli, "ab", end="")
    _, files = night(cli)
    assert (files["hosts.csv"]["gone"], names(sandbox)) == (0, "abc")
    assert "Nothing was deleted, since it may have been cut off in its last row." in files["hosts.csv"]["problem"]
    write_csv(cli, "ab")
    _, files = night(cli)
    assert (files["hosts.csv"]["deleted"], names(sandbox)) == (1, "ab")


@pytest.mark.parametrize("is_hidden", [False, True])
def test_rows_that_may_be_in_another_worksheet_are_not_gone(
    cli: CommandLine, sandbox: Sandbox, *, is_hidden: bool
) -> None:
    """A person who moves rows to another worksheet, or puts one in front, does not ask to delete their monitors."""

    def save(*worksheets: str) -> None:
        book = openpyxl.Workbook()
        for number, rows in enumerate(worksheets):
            sheet = book.worksheets[0] if not number else book.create_sheet(f"more {number}")
            for row in (("type", "hostname", "name"), *(("imap", f"{name}.example.com", name) for name in rows)):
                sheet.append(row)
            if number and is_hidden:
                sheet.sheet_state = "hidden"
        book.create_sheet("notes").append(("name", "telephone"))
        book.save(cli.folder / "box" / "hosts.xlsx")

    save("abc")
    assert night(cli)[0] == 0
    save("ab", "c")
    _, files = night(cli)
    assert (files["hosts.xlsx"]["counts"], files["hosts.xlsx"]["gone"]) == ({"exists": 2}, 0)
    assert "its worksheet 'more 1' was not read (if 'Sheet' has all rows" in files["hosts.xlsx"]["problem"]
    assert names(sandbox) == "abc"
    save("ab", "c")
    _, files = night(cli, "--sheet", "sheet")
    assert (files["hosts.xlsx"]["deleted"], names(sandbox)) == (1, "ab")
    save("a")
    assert night(cli)[1]["hosts.xlsx"]["deleted"] == 1


def test_formulas_whose_source_is_gone_delete_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    """Their cells are 0 then; check boxes that are FALSE down to the last row say nothing."""

    def save(*rows: str) -> None:
        lines = ["type,hostname,port,name,enabled", *rows, *["FALSE,,,,FALSE"] * 3]
        (cli.folder / "box" / "hosts.csv").write_text("\n".join(lines) + "\n", "utf-8")

    good = [f"imap,{name}.example.com,143,{name},yes" for name in "abc"]
    save(*good)
    assert night(cli)[0] == 0
    save(*good[:2], "0,0,0,0,0")
    _, files = night(cli)
    assert (files["hosts.csv"]["counts"], files["hosts.csv"]["gone"]) == ({"exists": 2}, 0)
    assert "since 1 of its rows has 0 in place of a name or host" in files["hosts.csv"]["problem"]
    save(*good[:2])
    _, files = night(cli)
    assert (files["hosts.csv"]["deleted"], names(sandbox)) == (1, "ab")


def test_rows_that_are_left_out_because_they_are_hidden_are_not_gone(cli: CommandLine, sandbox: Sandbox) -> None:
    """A person who filters the sheet and saves it does not ask to delete the other monitors."""

    def save(*, hidden_row: int | None) -> None:
        book = openpyxl.Workbook()
        sheet = book.worksheets[0]
        for row in (("type", "hostname", "name"), *(("imap", f"{name}.example.com", name) for name in "abc")):
            sheet.append(row)
        if hidden_row is not None:
            sheet.row_dimensions[hidden_row].hidden = True
        book.save(cli.folder / "box" / "hosts.xlsx")

    cli.monkeypatch.setenv("BULKLOAD_SKIP_HIDDEN", "true")
    save(hidden_row=None)
    assert night(cli)[0] == 0
    save(hidden_row=3)
    _, files = night(cli)
    assert (files["hosts.xlsx"]["counts"], files["hosts.xlsx"]["gone"]) == ({"exists": 2}, 0)
    assert "Nothing was deleted, since its hidden rows were left out." in files["hosts.xlsx"]["problem"]
    assert names(sandbox) == "abc"
