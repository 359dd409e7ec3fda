"""Two inputs are compared monitor by monitor, however they are spelled; the account as a run would see it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

import bulkload as bl
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine, CommandResult, api_request, imap

OLD = [imap("a", interval=15), imap("b", interval=15, note="x"), imap("c", type="pop")]
NEW = [imap("b", interval=5, locations="10;20"), imap("d", type="smtp"), imap("a", interval=15)]


def changes(result: CommandResult) -> list[tuple[str, int | None, str, dict[str, tuple[str, str]]]]:
    return [
        (
            change["change"],
            change["row"],
            change["name"],
            {each["field"]: (each["old"], each["new"]) for each in change["fields"]},
        )
        for change in result.json["changes"]
    ]


def test_two_files(cli: CommandLine) -> None:
    old, new = cli.write_csv("old.csv", OLD), cli.write_csv("new.csv", NEW)
    shown = cli("compare", old, new)
    assert shown.stdout.splitlines() == [
        "changed  row 2: imap  b  mx1.example.com",
        "         interval   15 → 5",
        "         locations  (empty) → 10;20",
        "new      row 3: smtp  d  mx1.example.com",
        "gone     row 4: pop  c  mx1.example.com",
        "Not compared: note; the new input has no column for it.",
        "1 new, 1 gone, 1 changed, 1 same",
    ]
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert cli("compare", old, new, "--exit-code").exit_code == 1
    assert cli("compare", old, old, "--exit-code").exit_code == 0
    as_json = cli("compare", old, new, "--json", "--exit-code")
    assert as_json.json["counts"] == {"new": 1, "gone": 1, "changed": 1, "same": 1}
    assert (as_json.json["exit_code"], as_json.json["old"], as_json.json["new"]) == (1, str(old), str(new))
    assert changes(as_json)[0] == (
        "changed",
        2,
        "b",
        {"interval": ("15", "5"), "locations": ("", "10;20")},
    )
    assert changes(as_json)[1][3]["type"] == ("", "smtp")
    assert changes(as_json)[2][3]["type"] == ("pop", "")
    assert cli("compare", old, new, "--quiet").stdout == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"hostname": "MX1.Example.com."}, {}),
        ({"type": "email-imap", "port": "143"}, {"type": "IMAP"}),
        ({"type": "imaps"}, {"port": "993.0"}),
        ({"hostname": "imaps://mx1.example.com"}, {"port": "993"}),
        ({"hostname": "mx1.example.com:993"}, {"type": "imaps", "port": "993"}),
        ({"enabled": "y"}, {"enabled": "TRUE"}),
        ({"locations": "10, 20"}, {"locations": "10;20"}),
        ({"mode": "global verify"}, {"mode": "Global Verify"}),
        ({"note": " x "}, {"note": "x"}),
        ({"api:x": "[1, 2]"}, {"api:x": "[1,2]"}),
    ],
)
def test_spellings_of_the_same_are_no_difference(
    cli: CommandLine, one: dict[str, object], other: dict[str, object]
) -> None:
    files = [cli.write_csv(f"{index}.csv", [imap("a") | more]) for index, more in enumerate((one, other))]
    assert cli("compare", *files, "--exit-code").stdout == "0 new, 0 gone, 0 changed, 1 same\n"


def test_a_port_that_is_not_the_types_own_is_another_monitor(cli: CommandLine) -> None:
    files = [cli.write_csv(f"{port}.csv", [imap("a", port=port)]) for port in (143, 993)]
    assert cli("compare", *files).stdout.endswith("1 new, 1 gone, 0 changed, 0 same\n")


def test_the_monitor_id_goes_before_the_name(cli: CommandLine) -> None:
    old = cli.write_csv("old.csv", [imap("a", monitor_id=7), imap("b", monitor_id=8)])
    new = cli.write_csv("new.csv", [imap("b", monitor_id=7), imap("a", monitor_id=9)])
    result = cli("compare", old, new, "--json")
    assert [change[:3] for change in changes(result)] == [("changed", 2, "b"), ("new", 3, "a"), ("gone", 3, "b")]
    assert changes(result)[0][3] == {"name": ("a", "b")}


def test_rows_that_cannot_be_sent_are_compared_by_their_cells(cli: CommandLine) -> None:
    old = cli.write_csv("old.csv", [imap("a", port="many", interval=5), imap("b", type="ftp", interval=5), imap("c")])
    new = cli.write_csv(
        "new.csv", [imap("a", port="more", interval=5), imap("b", type="ftp", interval=6), imap("c", interval="x")]
    )
    result = cli("compare", old, new, "--json")
    assert changes(result) == [
        ("changed", 2, "a", {"port": ("many", "more")}),
        ("changed", 3, "b", {"interval": ("5", "6")}),
        ("changed", 4, "c", {"interval": ("", "x")}),
    ]


def test_a_row_that_repeats_another_is_named_and_no_monitor(cli: CommandLine) -> None:
    old = cli.write_csv("old.csv", [imap("a", interval=1)])
    new = cli.write_csv("new.csv", [imap("a", interval=1), imap("a", interval=2)])
    for files, row in (((old, new), 3), ((new, old), 3)):
        result = cli("compare", *files, "--json")
        assert (changes(result), result.json["counts"]["same"]) == ([], 1)
        assert result.json["notes"] == [f"{new}: row {row} could not be compared: Repeats row 2."]
        assert cli("compare", *files, "--exit-code").exit_code == 1


def test_of_several_that_are_alike_the_one_without_another_id_is_taken(cli: CommandLine) -> None:
    rows = [imap("a", monitor_id=1), imap("a")]
    new = cli.write_csv("new.csv", [imap("a", monitor_id=2)])
    for order in (rows, rows[::-1]):
        result = cli("compare", cli.write_csv("old.csv", order), new, "--json")
        assert result.json["counts"]["new"] + result.json["counts"]["same"] == 1


def test_a_bad_row_is_compared_with_the_one_of_its_name(cli: CommandLine) -> None:
    good, bad = (
        cli.write_csv("good.csv", [imap("a"), imap("b")]),
        cli.write_csv("bad.csv", [imap("a", port=0), imap("c")]),
    )
    there, back = cli("compare", good, bad, "--json"), cli("compare", bad, good, "--json")
    assert [change[:3] for change in changes(there)] == [("changed", 2, "a"), ("new", 3, "c"), ("gone", 3, "b")]
    assert changes(there)[0][3] == {"port": ("", "0")}
    assert [change[:3] for change in changes(back)] == [("changed", 2, "a"), ("new", 3, "b"), ("gone", 3, "c")]


def test_a_plan_code_is_not_needed(cli: CommandLine, sandbox: Sandbox) -> None:
    bare = [{"type": "imap", "name": name, "hostname": "mx1.example.com"} for name in "ab"]
    one, other = cli.write_csv("one.csv", bare), cli.write_csv("other.csv", [bare[0], imap("b")])
    assert changes(cli("compare", one, other, "--json")) == [
        ("changed", 3, "b", {"billing_plancode": ("", "UBM - A/A")})
    ]
    cli.run(cli.write_csv("all.csv", [imap("a"), imap("b")]))
    assert cli("compare", one, "--account").stdout == "0 new, 0 gone, 0 changed, 2 same\n"


def test_a_field_that_the_new_file_has_no_column_for_is_not_compared(cli: CommandLine) -> None:
    """An export has all fields; the sheet that it is compared with says nothing about most of them."""
    old = cli.write_csv("old.csv", [imap("a", interval=5, note="x", mode="Primary"), imap("b", interval=5, note="")])
    new = cli.write_csv("new.csv", [imap("a", interval=6, alert_note="new"), imap("b", interval=5)])
    result = cli("compare", old, new, "--json")
    assert changes(result) == [("changed", 2, "a", {"interval": ("5", "6"), "alert_note": ("", "new")})]
    assert result.json["notes"] == ["Not compared: mode, note; the new input has no column for it."]
    frames = bl.compare(old, new)
    assert list(frames.loc[frames["change"] == "not compared", "field"]) == ["mode", "note"]


def test_another_port_is_shown(cli: CommandLine) -> None:
    files = [cli.write_csv(f"{port}.csv", [imap("a", port=port)]) for port in (993, 143)]
    lines = cli("compare", *files).stdout.splitlines()
    assert lines[:2] == ["new      row 2: imap  a  mx1.example.com:143", "gone     row 2: imap  a  mx1.example.com:993"]


def test_defaults_count_for_rows_that_cannot_be_sent(cli: CommandLine) -> None:
    old, new = (
        cli.write_csv("old.csv", [imap("a", enabled="y")]),
        cli.write_csv("new.csv", [imap("a", type="xx", enabled=1)]),
    )
    result = cli("compare", old, new, "--set", "interval=30", "--json")
    assert changes(result) == [("changed", 2, "a", {"type": ("imap", "xx")})]


def test_a_mapped_column_need_be_in_one_file_only(cli: CommandLine) -> None:
    old = cli.write_csv("old.csv", [{"Art": "imap", "name": "a", "hostname": "mx1.example.com"}])
    new = cli.write_csv("new.csv", [imap("a")])
    assert changes(cli("compare", old, new, "--map", "Art=type", "--json"))[0][3] == {
        "billing_plancode": ("", "UBM - A/A")
    }
    assert "is unknown" in cli("compare", old, new, "--map", "Arte=type").stderr


def test_the_workbook_and_the_csv_file(cli: CommandLine) -> None:
    old, new = cli.write_csv("old.csv", OLD), cli.write_csv("new.csv", [*NEW, imap("=1+1"), imap("d", type="smtp")])
    result = cli("compare", old, new, "--results", "d.xlsx", "--results", "d.csv")
    assert result.stdout.splitlines()[-2:] == ["Results: d.xlsx", "Results: d.csv"]
    sheet = load_workbook("d.xlsx").worksheets[0]
    rows = [["" if value is None else str(value) for value in row] for row in sheet.iter_rows(values_only=True)]
    assert rows[0] == ["change", "row", "monitor_id", "type", "name", "host", "field", "old", "new"]
    assert rows[1] == ["changed", "2", "", "imap", "b", "mx1.example.com", "interval", "15", "5"]
    assert ["new", "5", "", "imap", "=1+1", "mx1.example.com", "", "", ""] in rows
    assert ["not compared", "6", "", "", "", "", "", "", "Repeats row 3."] in rows
    assert ["not compared", "", "", "", "", "", "note", "", "the new input has no column for it"] in rows
    with Path("d.csv").open(encoding="utf-8-sig", newline="") as file:
        in_csv = list(csv.reader(file))
    assert [[cell.removeprefix("'") for cell in row] for row in in_csv] == rows
    assert any(row[4] == "'=1+1" for row in in_csv)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("old.csv",), "compare needs two files, or --account and one file."),
        (("old.csv", "old.csv", "old.csv"), "compare needs two files, or --account and one file."),
        (("old.csv", "old.csv", "--account"), "compare needs one file; the other side is the account."),
        (("old.csv", "missing.csv"), "missing.csv: file not found."),
        (("old.csv", "old.csv", "--results", "d.html"), "The results file d.html must end in .xlsx or .csv."),
        (("old.csv", "old.csv", "--results", "old.csv"), "--results old.csv would replace an input"),
        (("old.csv", "--account"), "Set ALERTSITE_USERNAME"),
    ],
)
def test_wrong_use(cli: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    cli.write_csv("old.csv", OLD)
    result = cli("compare", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_the_account(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("old.csv", OLD))
    before = len(cli("runs").stdout.splitlines())
    shown = cli("compare", cli.write_csv("new.csv", [*NEW, imap("bad", port=0)]), "--account")
    ids = {item["name"]: item["id"] for item in sandbox.monitors()}
    assert shown.stdout.splitlines() == [
        f"changed  row 2: imap  b  mx1.example.com  [{ids['b']}]",
        "         interval   15 → 5",
        "         locations  10 → 10;20",
        "new      row 3: smtp  d  mx1.example.com",
        f"gone     pop  c  mx1.example.com  [{ids['c']}]",
        f"{cli.folder / 'new.csv'}: row 5 could not be compared: port is 0; a port is a whole number from 1 to 65535.",
        "1 new, 1 gone, 1 changed, 1 same, 1 not compared",
    ]
    assert len(sandbox.monitors()) == 3
    assert len(cli("runs").stdout.splitlines()) == before
    assert cli("compare", "old.csv", "--account", "--exit-code").exit_code == 0
    assert cli("compare", "new.csv", "--account", "--exit-code", "--json").json["notes"]


def test_a_bad_row_that_means_a_monitor_does_not_make_it_gone(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("old.csv", [imap("a"), imap("b")]))
    ids = {item["name"]: item["id"] for item in sandbox.monitors()}
    sheet = cli.write_csv("new.csv", [imap("a", interval="x"), imap("renamed", interval="x", monitor_id=ids["b"])])
    result = cli("compare", sheet, "--account", "--json")
    assert (changes(result), len(result.json["notes"])) == ([], 2)


def test_an_export_is_the_same_as_its_account(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("old.csv", OLD))
    cli("export", "all.xlsx")
    assert cli("compare", "all.xlsx", "--account").stdout == "0 new, 0 gone, 0 changed, 3 same\n"
    api_request(sandbox, "PATCH", sandbox.monitors()[0], interval=77)
    cli("export", "later.xlsx")
    assert "interval  15 → 77" in cli("compare", "all.xlsx", "later.xlsx").stdout
    assert "interval  77 → 15" in cli("compare", "all.xlsx", "--account").stdout


def test_an_account_that_cannot_be_listed(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="login-refused"),)))
    result = cli("compare", cli.write_csv("old.csv", OLD), "--account")
    assert (result.exit_code, result.stdout) == (3, "")


ROW = st.fixed_dictionaries(
    {
        "name": st.sampled_from("abc"),
        "type": st.sampled_from(["imap", "pop", "ftp"]),
        "interval": st.sampled_from(["", 5, 15, "x"]),
        "note": st.sampled_from(["", "n"]),
    }
)


@settings(max_examples=40)
@given(old=st.lists(ROW, min_size=1, max_size=5), new=st.lists(ROW, min_size=1, max_size=5))
def test_every_row_is_in_the_comparison_once_and_both_ways_agree(
    old: list[dict[str, object]], new: list[dict[str, object]]
) -> None:
    one, other = (pd.DataFrame([imap("") | row for row in rows], dtype=object) for rows in (old, new))
    there, back = bl.compare(one, other), bl.compare(other, one)
    for side, lines in ((other, there), (one, back)):
        counted = lines[lines["change"] != "gone"]
        whole = counted[(counted["change"] != "not compared") | counted["new"].notna()]
        assert not whole.duplicated(["row", "change", "field"]).any()
        assert len(set(whole["row"])) <= len(side)
    for kind, opposite in (("new", "gone"), ("gone", "new"), ("changed", "changed"), ("not compared", "not compared")):
        rows, mirrored = there.loc[there["change"] == kind, "row"], back.loc[back["change"] == opposite, "row"]
        assert len(set(rows)) == len(set(mirrored))
    assert set(bl.compare(one, one)["change"]) <= {"not compared"}


def test_frames_name_rows_by_their_index(sandbox: Sandbox, cli: CommandLine) -> None:
    old = pd.DataFrame([imap("a", interval=5), imap("b"), imap("c")], index=["x", "y", "z"])
    new = pd.DataFrame([imap("b"), imap("a", interval=6), imap("d")], index=[10, 20, 30])
    found = bl.compare(old, new)
    assert list(found.columns) == ["row", "change", "field", "old", "new"]
    assert [tuple(None if pd.isna(cell) else cell for cell in line) for line in found.itertuples(index=False)] == [
        (20, "changed", "interval", "5", "6"),
        (30, "new", "name", None, "d"),
        ("z", "gone", "name", "c", None),
    ]
    account = bl.Account(username=sandbox.options.user, password=sandbox.options.password, base_url=sandbox.base_url)
    bl.run(old, account=account)
    with_account = bl.compare(account, new)
    assert list(with_account["change"]) == ["changed", "new", "gone"]
    assert list(with_account["row"].iloc[:2]) == [20, 30]
    assert with_account["row"].iloc[2] == next(str(item["id"]) for item in sandbox.monitors() if item["name"] == "c")
    unclear = bl.compare(account, pd.DataFrame([imap("a", port=0), imap("c")], index=["x", "y"]))
    assert list(unclear["change"]) == ["gone", "not compared"]
    assert (unclear["row"].iloc[1], unclear["new"].str.startswith("port is 0").iloc[1]) == ("x", True)
    big = bl.compare(account, new.set_index(pd.Index([7, 2**53 + 1, 8])))
    assert list(big["row"].iloc[:1]) == [2**53 + 1]
    assert json.loads(bl.compare(old, old).to_json()) == {name: {} for name in found.columns}
