"""`run`, `check`, `plan`, `resume`, `undo`, `export` and `runs` on frames, rows and files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

import bulkload as bl
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.python.conftest import hosts
from tests.support.command_line import CommandLine, api_request


def test_a_frame_is_created_once(server: Sandbox, account: bl.Account, frame: pd.DataFrame) -> None:
    first = bl.run(frame, account=account)
    again = bl.run(frame, account=account)
    assert (first.counts, first.ok, first.exit_code, first.stopped) == ({"created": 3}, True, 0, None)
    assert (again.counts, again.requests["sent"]) == ({"exists": 3}, 2)
    assert [item["name"] for item in server.monitors()] == ["a", "b", "c"]
    ids = {item["name"]: str(item["id"]) for item in server.monitors()}
    for result in (first, again):
        assert dict(zip(result.frame["name"], result.frame["monitor_id"], strict=True)) == ids
        assert set(result.frame["run_id"]) == {result.run_id}
    assert first.seconds > 0
    assert first.requests.keys() == {"sent", "throttled", "retried"}


def test_the_failed_rows_can_be_corrected_and_given_back(server: Sandbox, account: bl.Account) -> None:
    result = bl.run(hosts("a", "b", "c", "a", port=[993, 99999, 993, 993]), account=account)
    assert result.counts == {"created": 2, "invalid": 1, "duplicate": 1}
    failed = result.failed
    assert list(failed.index) == ["B", "A"]
    failed.loc["B", "port"] = 143
    again = bl.run(failed, account=account)
    assert again.counts == {"created": 1, "exists": 1}
    assert list(again.frame.columns) == list(result.frame.columns)
    assert {item["name"] for item in server.monitors()} == {"a", "b", "c"}
    assert len(server.monitors()) == 3


def test_a_whole_result_given_back_creates_nothing(server: Sandbox, account: bl.Account, frame: pd.DataFrame) -> None:
    result = bl.run(frame, account=account)
    again = bl.run(result.frame, account=account)
    assert again.counts == {"exists": 3}
    pd.testing.assert_frame_equal(again.frame[list(frame.columns)], frame)
    for monitor in server.monitors():
        api_request(server, "DELETE", monitor)
    gone = bl.run(result.frame, account=account)
    assert isinstance(gone.stopped, bl.ApiUnreliable)
    assert (server.monitors(), gone.exit_code, gone.ok) == ([], 3, False)


def test_check_needs_no_account_and_stores_nothing(folder: Path) -> None:
    result = bl.check(hosts("a", "b", port=[993, 0]))
    assert result.counts == {"will create": 1, "invalid": 1}
    assert list(result.frame["status"]) == ["will create", "invalid"]
    assert (result.exit_code, result.ok) == (1, False)
    assert list(folder.iterdir()) == []


def test_the_issues_name_index_and_column() -> None:
    frame = hosts("a", "b", "a", port=["many", 110, "many"], interval=[None, "1.5", ""])
    issues = bl.check(frame).issues
    assert list(issues.columns) == ["index", "column", "field", "code", "value", "message", "severity"]
    found = set(
        zip(issues["index"], issues["column"], issues["code"], issues["value"], issues["severity"], strict=True)
    )
    assert found == {
        ("A", "port", "port.number", "many", "error"),
        ("B", "port", "port.type", "110", "warning"),
        ("B", "interval", "interval.decimal", "1.5", "error"),
    } or found >= {("A", "port", "port.number", "many", "error"), ("B", "interval", "interval.decimal", "1.5", "error")}
    assert issues["message"].str.contains("port is many").sum() == 2


def test_an_error_that_is_of_no_cell_is_an_issue_too(server: Sandbox, account: bl.Account) -> None:
    server.set_faults(Faults(rules=(Rule(fault="plan-full", names=("b",)),)))
    result = bl.run(hosts("a", "b", "a"), account=account)
    assert result.counts == {"created": 1, "rejected": 1, "duplicate": 1}
    assert list(zip(result.issues["index"], result.issues["code"], strict=True)) == [
        ("B", "rejected"),
        ("A", "duplicate"),
    ]


def test_plan_sends_nothing_but_a_login_and_gets(server: Sandbox, account: bl.Account, frame: pd.DataFrame) -> None:
    bl.run(frame.iloc[:1], account=account)
    result = bl.plan(frame.assign(interval=[5, 5, 5]), account=account, on_existing="update")
    assert result.counts == {"will create": 2, "will update": 1}
    assert len(server.monitors()) == 1
    assert len(bl.runs()) == 1  # a plan is no run


def test_rows_as_mappings(server: Sandbox, account: bl.Account) -> None:
    rows = ({"type": "imap", "name": name, "hostname": "mx1.example.com", "port": 993} for name in ("a", "b", ""))
    result = bl.run(rows, account=account, set={"billing_plancode": "UBM - A/A", "locations": [10, 20]})
    assert result.counts == {"created": 2, "invalid": 1}
    assert list(bl.export(account=account).frame["locations"]) == ["10;20", "10;20"]
    assert list(result.frame["port"]) == [993, 993, 993]
    records = result.failed.to_dict("records")
    again = bl.run([records[0] | {"name": "c"}], account=account, set={"billing_plancode": "UBM - A/A"})
    assert again.counts == {"created": 1}


def test_a_file_gives_the_same_as_the_command_line(folder: Path, account: bl.Account) -> None:
    hosts("a", "b", port=[993, 0]).to_csv("hosts.csv", index=False)
    result = bl.run("hosts.csv", account=account, results="done.xlsx")
    assert result.counts == {"created": 1, "invalid": 1}
    assert list(result.frame["source_row"]) == [2, 3]
    assert list(result.frame.columns[:3]) == ["type", "name", "hostname"]
    result.to_excel(folder / "again.xlsx")
    assert cells(folder / "again.xlsx") == cells(folder / "done.xlsx")


def test_the_workbook_of_a_frame_is_that_of_the_same_rows_in_a_file(
    folder: Path, account: bl.Account, cli: CommandLine
) -> None:
    frame = hosts("a", "b", "+c", port=[993.0, 0, None], note=[None, "é", ""])
    frame.to_excel(folder / "hosts.xlsx", index=False)
    bl.check(frame).to_excel("frame.xlsx")
    cli("check", folder / "hosts.xlsx", "--results", "file.xlsx")
    in_frame, in_file = cells(Path("frame.xlsx")), cells(Path("file.xlsx"))
    assert [row[:-1] for row in in_frame] == [row[:-1] for row in in_file]  # but for the run ID


def cells(path: Path) -> list[list[str]]:
    sheet = load_workbook(path).worksheets[0]
    return [[str(value) for value in row] for row in sheet.iter_rows(values_only=True)]


def test_to_excel_writes_workbooks_only(frame: pd.DataFrame) -> None:
    with pytest.raises(bl.UsageError, match=r"\.csv does not end in \.xlsx"):
        bl.check(frame).to_excel("x.csv")


def test_a_run_of_two_rows_is_resumed(server: Sandbox, account: bl.Account, frame: pd.DataFrame) -> None:
    first = bl.run(frame, account=account, first=2, label="nightly hosts")
    assert first.counts == {"created": 2, "not_attempted": 1}
    assert list(first.failed.index) == ["C"]
    resumed = bl.resume(account=account)
    assert (resumed.run_id, resumed.counts) == (first.run_id, {"created": 3})
    assert len(server.monitors()) == 3
    with pytest.raises(bl.UsageError, match="no run to resume"):
        bl.resume(account=account)
    history = bl.runs()
    assert list(history["input"]) == ["nightly hosts"]
    assert list(history["created"]) == [3]
    assert str(history["started"].dtype).endswith("UTC]")


def test_a_run_begun_here_is_resumed_in_the_terminal_and_the_other_way_round(
    account: bl.Account, server: Sandbox, frame: pd.DataFrame, cli: CommandLine
) -> None:
    cli.use_account(server.base_url)
    first = bl.run(frame, account=account, first=1, label="hosts")
    resumed = cli("resume", "--first", "1", "--json")
    assert (resumed.json["run_id"], resumed.json["counts"]) == (first.run_id, {"created": 2, "not_attempted": 1})
    assert resumed.json["results"] == ["output/hosts-results.xlsx"]
    assert bl.resume(account=account).counts == {"created": 3}
    assert bl.run("output/hosts-results.xlsx", account=account).counts == {"exists": 3}


def test_undo_says_first_what_it_would_delete(server: Sandbox, account: bl.Account) -> None:
    result = bl.run(hosts("a", "b", "c", interval=5), account=account)
    edited = next(item for item in server.monitors() if item["name"] == "b")
    api_request(server, "PATCH", edited, interval=77)
    preview = bl.undo(result.run_id, account=account)
    assert preview.removals == {"deleted": 2, "edited": 1}
    assert list(preview.frame["undo"]) == ["deleted", "edited", "deleted"]
    assert "interval" in preview.issues["message"].iloc[0]
    sentence = "Dry run, nothing was deleted; monitors of the run: 2 to delete, 1 kept, because they were edited since."
    assert sentence in repr(preview)
    assert len(server.monitors()) == 3
    done = bl.undo(result.run_id, account=account, dry_run=False)
    assert (done.removals, done.exit_code) == ({"deleted": 2, "edited": 1}, 1)
    assert list(done.frame["status"]) == ["removed", "created", "removed"]
    assert [item["name"] for item in server.monitors()] == ["b"]
    last = bl.undo(result.run_id, account=account, dry_run=False, include_edited=True)
    assert (last.ok, server.monitors()) == (True, [])


def test_undo_of_some_rows(server: Sandbox, account: bl.Account) -> None:
    result = bl.run(hosts("a", "b", "c"), account=account)
    rows = result.frame.loc[result.frame["name"] != "b", "source_row"]
    assert bl.undo(result, account=account, rows=rows).removals == {"deleted": 2}
    bl.undo(result, account=account, rows=rows, dry_run=False)
    assert [item["name"] for item in server.monitors()] == ["b"]
    with pytest.raises(bl.UsageError, match="has no row 99"):
        bl.undo(result, account=account, rows=[99])
    with pytest.raises(bl.UsageError, match="give the numbers of rows"):
        bl.undo(result, account=account, rows=["5-7"])  # type: ignore[list-item]


def test_an_export_is_accepted_by_run(server: Sandbox, account: bl.Account, frame: pd.DataFrame, folder: Path) -> None:
    bl.run(frame, account=account)
    exported = bl.export(account=account)
    assert exported.counts == {"exists": 3}
    changed = exported.frame
    assert list(changed["name"]) == ["a", "b", "c"]
    assert [str(changed[name].dtype) for name in ("port", "enabled", "name")] == ["Int64", "boolean", "string"]
    changed.loc[1, "interval"] = 7
    updated = bl.run(changed, account=account, on_existing="update")
    assert updated.counts == {"exists": 2, "updated": 1}
    assert [item["interval"] for item in server.monitors()].count(7) == 1
    exported.to_excel("all.xlsx")
    assert bl.run("all.xlsx", account=account).counts == {"exists": 3}
    assert bl.run(exported.frame, account=account).counts == {"exists": 3}
    assert exported.failed.empty
    assert exported.issues.empty


def test_runs_without_a_store() -> None:
    with pytest.raises(bl.UsageError, match="There are no runs in nowhere"):
        bl.runs("nowhere")


def test_the_sandbox_needs_no_account(frame: pd.DataFrame, folder: Path) -> None:
    assert bl.run(frame, sandbox=True, store="rehearsal").counts == {"created": 3}
    assert (folder / "rehearsal" / "bulkload.sqlite3").is_file()


def test_a_row_without_any_value_has_no_result(account: bl.Account) -> None:
    frame = pd.concat([hosts("a"), pd.DataFrame({"type": [None, float("nan")]}, index=["x", "y"]), hosts("b")])
    result = bl.run(frame, account=account)
    assert result.counts == {"created": 2}
    assert list(result.frame["status"].isna()) == [False, True, True, False]
    assert list(result.frame["source_row"].dropna()) == [2, 5]
    assert result.failed.empty


def test_a_frame_without_rows(account: bl.Account, frame: pd.DataFrame) -> None:
    result = bl.run(frame.iloc[:0], account=account)
    assert (result.counts, result.ok, len(result.frame), len(result.issues)) == ({}, True, 0, 0)
    assert list(result.frame.columns)[-1] == "run_id"


def test_a_result_shows_itself_in_a_notebook(account: bl.Account) -> None:
    frame = hosts("a", "b", "<script>alert(1)</script>", port=[993, "<b>", 0])
    result = bl.run(frame, account=account)
    html = result._repr_html_()
    assert "<svg" in html
    assert "created 1" in html
    assert "index B" in html
    assert "<script>" not in html
    assert "port is &#34;&lt;b&gt;&#34;" in html
    assert repr(result) == f"<bulkload.Result {result.run_id}: Of 3 rows: 1 done, 2 to fix.>"
    assert "<svg" not in bl.check(hosts())._repr_html_()


def test_results_in_csv_that_pandas_has_read_are_not_taken_at_their_word(
    server: Sandbox, account: bl.Account, folder: Path
) -> None:
    """Results in CSV have an apostrophe before what looks like a formula; read as a frame, it would be another name."""
    bl.run(hosts("-a", "b"), account=account, results="r.csv")
    read = pd.read_csv("r.csv", dtype=str, keep_default_na=False)
    assert list(read["name"]) == ["'-a", "b"]
    for data in (read, read.to_dict("records")):
        result = bl.run(data, account=account, on_existing="update")
        assert result.counts == {"exists": 1, "invalid": 1}
        assert list(result.issues["code"]) == ["cell.apostrophe"]
    assert bl.run("r.csv", account=account).counts == {"exists": 2}
    assert {item["name"] for item in server.monitors()} == {"-a", "b"}


def test_an_apostrophe_in_a_frame_is_one(server: Sandbox, account: bl.Account) -> None:
    result = bl.run(hosts("'-a", "'=b", port=[993, 0]), account=account)
    assert result.counts == {"created": 1, "invalid": 1}
    failed = result.failed
    failed["port"] = 993
    assert bl.run(failed, account=account).counts == {"created": 1}
    assert bl.run(result.frame, account=account).counts == {"exists": 1, "invalid": 1}
    assert {item["name"] for item in server.monitors()} == {"'-a", "'=b"}


def test_notes_say_which_rows_were_skipped() -> None:
    frame = hosts("a", "b", "c").astype(object)
    frame.iloc[1] = 0
    frame.iloc[2] = False
    result = bl.check(frame)
    assert (result.counts, list(result.frame["status"].isna())) == ({"will create": 1}, [False, True, True])
    assert result.notes == (
        "2 rows that hold only 0 or FALSE were skipped: rows 3–4.",
        "The input may not be whole: 2 of its rows have 0 in place of a name or host.",
    )
    assert all(note in repr(result) for note in result.notes)
    assert "2 rows that hold only 0 or FALSE" in result._repr_html_()
    assert bl.check(hosts("a")).notes == ()


def test_what_is_said_about_a_row_that_is_done_is_no_error(account: bl.Account) -> None:
    bl.run(hosts("a", interval=5), account=account)
    near = bl.run(hosts("b"), account=account)
    assert near.ok
    assert list(zip(near.issues["code"], near.issues["severity"], strict=True)) == [("account.near_miss", "warning")]
    updated = bl.run(hosts("a", interval=7), account=account, on_existing="update")
    assert updated.counts == {"updated": 1}
    assert "error" not in set(updated.issues["severity"])


def test_half_of_a_surrogate_pair_is_an_issue_of_its_cell(folder: Path, account: bl.Account) -> None:
    good = hosts("a").to_dict("records")[0]
    rows = [good, good | {"name": "b", "api:x": {"a": "\ud800"}}, good | {"name": "c", "note": "\ud800"}]
    result = bl.run(rows, account=account)
    assert result.counts == {"created": 1, "invalid": 2}
    assert list(result.failed["name"]) == ["b", "c"]
    assert list(result.issues["code"]) == ["cell.surrogate", "cell.surrogate"]
    (folder / "x.json").write_text(json.dumps(rows))
    assert bl.run("x.json", account=account).counts == {"exists": 1, "invalid": 2}
    (folder / "x.csv").write_text('type,name,hostname,billing_plancode,api:x\nimap,d,mx1.example.com,X,"""\\ud800"""\n')
    assert list(bl.run("x.csv", account=account).issues["code"]) == ["api.surrogate"]
