"""A results file that somebody may have changed is never replaced; the new one gets a number."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from bulkload.files.names import numbered
from bulkload.operations.results_names import default_results
from bulkload.reports import results_workbook
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from bulkload.settings import Options
from bulkload.store.results_files import Found, look_at, note_draft
from bulkload.store.runs import Store
from tests.support.command_line import CommandLine, CommandResult, imap

ROWS = [imap("a"), imap("b", port=0)]


@pytest.fixture
def hosts(cli: CommandLine, sandbox: Sandbox) -> Path:
    return cli.write_csv("hosts.csv", ROWS)


def files(cli: CommandLine) -> list[str]:
    return sorted(path.name for path in (cli.folder / "output").glob("*-*.*") if path.suffix != ".sqlite3")


def edit(path: Path) -> bytes:
    path.write_bytes(path.read_bytes() + b"edited")
    return path.read_bytes()


def warnings(result: CommandResult) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("WARNING: ") and "is kept" in line]


def test_an_edited_results_file_is_kept_and_the_new_one_gets_a_number(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts)
    edited = edit(cli.folder / "output" / "hosts-results.xlsx")
    result = cli("run", hosts, "--json")
    assert result.json["results"] == ["output/hosts-results-2.xlsx"]
    (warning,) = warnings(result)
    assert warning.startswith("WARNING: output/hosts-results.xlsx was changed after it was written, so it is kept;")
    assert warning.endswith(" the results are in output/hosts-results-2.xlsx")
    assert cli("run", hosts, "--json").json["results"] == ["output/hosts-results-2.xlsx"], "as it was written"
    assert cli("report", "last", "--json").json["results"] == ["output/hosts-results-2.xlsx"]
    assert (cli.folder / "output" / "hosts-results.xlsx").read_bytes() == edited
    assert files(cli) == ["hosts-results-2.xlsx", "hosts-results.xlsx"]
    assert "output/hosts-results-2.xlsx" in cli("show", "last").stdout
    assert "output/hosts-results-2.xlsx" in cli("runs", "--since", "1h", "--json").stdout


def test_a_results_file_that_is_as_it_was_written_is_replaced(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts)
    results = cli.folder / "output" / "hosts-results.xlsx"
    results.write_bytes(results.read_bytes())  # other times, the same content
    os.utime(results, (1, 1))
    assert warnings(cli("run", hosts)) == []
    (cli.folder / "output").rename(cli.folder / "moved")
    assert warnings(cli("run", hosts, "--output", "moved")) == []
    assert [path.name for path in (cli.folder / "moved").glob("*.xlsx")] == ["hosts-results.xlsx"]
    (cli.folder / "moved" / "hosts-results.xlsx").unlink()
    assert warnings(cli("run", hosts, "--output", "moved")) == []


def test_the_results_of_results_have_one_suffix_and_never_replace_their_input(cli: CommandLine, hosts: Path) -> None:
    file, expected = hosts, ["hosts-results.xlsx", "hosts-results-2.xlsx", "hosts-results-3.xlsx"]
    contents = []
    for name in expected:
        result = cli("run", file, "--json")
        file = cli.folder / result.json["results"][0]
        assert (file.name, warnings(result)) == (name, [])
        contents.append(file.read_bytes())
    assert [(cli.folder / "output" / name).read_bytes() for name in expected] == contents


def test_a_file_that_no_run_wrote_is_replaced_only_if_it_is_named(cli: CommandLine, hosts: Path) -> None:
    output = cli.folder / "output"
    output.mkdir()
    (output / "hosts-results.xlsx").write_text("mine")
    result = cli("run", hosts, "--json")
    assert result.json["results"] == ["output/hosts-results-2.xlsx"]
    assert "was not written by a run of this folder, so it is kept" in warnings(result)[0]
    (cli.folder / "chosen.csv").write_text("mine")
    assert cli("run", hosts, "--results", "chosen.csv", "--json").json["results"] == ["chosen.csv"]
    assert len(cli.read_results("chosen.csv")) == 2


@pytest.mark.parametrize("command", ["run", "report", "resume", "undo"])
def test_an_edited_file_is_kept_also_if_it_is_named(cli: CommandLine, hosts: Path, command: str) -> None:
    cli("run", hosts, "--results", "r.csv")
    edited = edit(cli.folder / "r.csv")
    arguments = ["run", hosts] if command == "run" else [command, "last"]
    result = cli(*arguments, "--results", "r.csv", "--json", *(["--yes"] if command == "undo" else []))
    assert result.json["results"] == ["r-2.csv"]
    assert len(warnings(result)) == 1
    assert (cli.folder / "r.csv").read_bytes() == edited


def test_an_older_run_does_not_replace_the_results_of_a_newer_one(cli: CommandLine, hosts: Path) -> None:
    older, newer = (cli("run", hosts, "--json").json["run_id"] for _ in range(2))
    before = (cli.folder / "output" / "hosts-results.xlsx").read_bytes()
    result = cli("report", older, "--json")
    assert result.json["results"] == ["output/hosts-results-2.xlsx"]
    assert f"has the results of a newer run, {newer}, so it is kept" in warnings(result)[0]
    assert cli("undo", older, "--yes", "--json").json["results"] == ["output/hosts-results-2.xlsx"]
    assert (cli.folder / "output" / "hosts-results.xlsx").read_bytes() == before
    assert cli("report", newer, "--json").json["results"] == ["output/hosts-results.xlsx"]


def test_inputs_of_one_name_do_not_replace_the_results_of_each_other(cli: CommandLine, sandbox: Sandbox) -> None:
    for folder in ("x", "y"):
        (cli.folder / folder).mkdir()
        cli.write_csv(f"{folder}/hosts.csv", [imap(folder, port=0)])
    assert cli("run", "x/hosts.csv", "--json").json["results"] == ["output/hosts-results.xlsx"]
    assert cli("run", "./x/../x/hosts.csv", "--json").json["results"] == ["output/hosts-results.xlsx"], "the same"
    other = cli("run", "y/hosts.csv", "--json")
    assert other.json["results"] == ["output/hosts-results-2.xlsx"]
    assert "x/hosts.csv, so it is kept" in warnings(other)[0]


def test_show_says_that_its_results_were_replaced(cli: CommandLine, hosts: Path) -> None:
    older, newer = (cli("run", hosts, "--json").json["run_id"] for _ in range(2))
    shown = cli("show", older).stdout
    assert f"Results:  output/hosts-results.xlsx (now those of run {newer})" in shown
    assert "bulkload run output/hosts-results.xlsx" not in shown
    assert f"bulkload report {older}" in shown
    assert "now those of" not in cli("show", newer).stdout


def test_a_delete_keeps_an_edited_file(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts)
    cli("delete", "output/hosts-results.xlsx", "--yes")
    edited = edit(cli.folder / "output" / "hosts-results-deleted.xlsx")
    result = cli("delete", "output/hosts-results-deleted.xlsx", "--yes", "--json", "--ignore-unknown")
    assert (cli.folder / "output" / "hosts-results-deleted.xlsx").read_bytes() == edited
    assert result.exit_code in (0, 2), result.stderr


def test_a_process_that_is_killed_between_draft_and_record_leaves_a_known_file(cli: CommandLine, hosts: Path) -> None:
    """Both contents are known: that of the draft, and that of the file if the draft did not replace it."""
    cli("run", hosts)
    results = cli.folder / "output" / "hosts-results.xlsx"
    with Store(cli.folder / "output") as store:
        run = store.run()
        draft = cli.folder / "draft.xlsx"
        draft.write_text("newer")
        note_draft(store, results, draft, run.number)
        assert look_at(store, results).found is Found.WRITTEN
        draft.replace(results)
        assert look_at(store, results).found is Found.WRITTEN
        results.write_text("other")
        assert look_at(store, results).found is Found.CHANGED
        results.unlink()
        assert look_at(store, results).found is Found.NOTHING


def test_results_of_an_older_version_are_replaced_as_before(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts)
    with Store(cli.folder / "output") as store:
        store.db.execute("DELETE FROM results_files")
        store.db.execute("INSERT INTO results_files SELECT '', x'', max(call) FROM calls")
        store.db.execute("UPDATE calls SET token = '', results = '[]'")  # as the migration leaves them
    assert warnings(cli("run", hosts)) == []
    assert files(cli) == ["hosts-results.xlsx"]


def test_results_that_were_edited_before_an_upgrade_are_kept(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts)
    with Store(cli.folder / "output") as store:
        store.db.execute("DELETE FROM results_files")
        store.db.execute("INSERT INTO results_files SELECT '', x'', max(call) FROM calls")
        store.db.execute("UPDATE calls SET token = '', results = '[]'")
    later = time.time() + 3600
    os.utime(cli.folder / "output" / "hosts-results.xlsx", (later, later))
    assert len(warnings(cli("run", hosts))) == 1


@pytest.fixture
def box(cli: CommandLine) -> Iterator[tuple[Path, Sandbox]]:
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",)),))) as sandbox:
        cli.use_account(sandbox.base_url)
        cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
        (cli.folder / "box").mkdir()
        cli.write_csv("box/mail.csv", [imap("a"), imap("b"), imap("c", port=0)])
        yield cli.folder / "box", sandbox


def test_the_inbox_moves_results_that_were_edited_in_working_out_of_the_way(
    cli: CommandLine, box: tuple[Path, Sandbox]
) -> None:
    folder, sandbox = box
    assert cli("inbox", "box").exit_code == 1
    edited = edit(folder / "working" / "mail-results.xlsx")
    sandbox.set_faults(Faults())
    result = cli("inbox", "box")
    found = re.search(
        r"mail-results\.xlsx was changed after it was written; it is now (\S+-edited\.xlsx)\.", result.stderr
    )
    assert found is not None, result.stderr
    assert (cli.folder / found[1]).read_bytes() == edited
    assert list((folder / "working").iterdir()) == []
    (results,) = (path for path in folder.rglob("mail-results*.xlsx") if path != cli.folder / found[1])
    assert results.read_bytes() != edited
    assert warnings(result) == []
    assert cli("inbox", "box").exit_code == 0, "nothing is left to do"


def test_results_that_the_inbox_wrote_in_place_of_edited_ones_are_its_own(
    cli: CommandLine, box: tuple[Path, Sandbox]
) -> None:
    folder, _ = box
    cli("inbox", "box")
    edit(folder / "working" / "mail-results.xlsx")
    assert "was changed after it was written" in cli("inbox", "box").stderr
    for _ in range(2):
        assert "was changed after it was written" not in cli("inbox", "box").stderr
    assert len(list(folder.rglob("*-edited*"))) == 1


def test_the_history_of_an_inbox_says_where_the_results_are_now(cli: CommandLine, box: tuple[Path, Sandbox]) -> None:
    _, sandbox = box
    sandbox.set_faults(Faults())
    assert cli("inbox", "box").exit_code == 1
    shown = cli("show", "last", "--output", "box").stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("Results:"))
    assert Path(line.removeprefix("Results:").strip()).is_file(), line


def test_a_night_without_a_password_is_in_the_history_once(cli: CommandLine, box: tuple[Path, Sandbox]) -> None:
    cli.monkeypatch.delenv("ALERTSITE_PASSWORD")
    for _ in range(2):
        assert cli("inbox", "box").exit_code == 2
    (call,) = cli("runs", "--output", "box", "--failed", "--json").json
    assert "ALERTSITE_PASSWORD" in json.dumps(call)


def test_results_that_are_put_into_the_inbox_keep_one_suffix(cli: CommandLine, box: tuple[Path, Sandbox]) -> None:
    folder, sandbox = box
    sandbox.set_faults(Faults())
    names = []
    for _ in range(3):
        assert cli("inbox", "box").exit_code == 1
        newest = max(folder.rglob("failed/*/*-results*.xlsx"), key=lambda path: path.stat().st_mtime_ns)
        names.append(newest.name)
        newest.rename(folder / newest.name)
    assert names == ["mail-results.xlsx", "mail-results-2.xlsx", "mail-results-3.xlsx"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["a.csv"], ["a-results"]),
        (["a-results.xlsx"], ["a-results-2"]),
        (["a-results-9.csv"], ["a-results-10"]),
        (["-results.csv"], ["-results-results"]),
        (["a.csv", "a-results.xlsx"], ["a-results", "a-results-2"]),
        (["x/a.csv", "y/a.csv"], ["a-csv-results", "a-csv-results-2"]),
        (["a.csv", "a.xlsx"], ["a-csv-results", "a-xlsx-results"]),
    ],
)
def test_the_names_of_results(inputs: list[str], expected: list[str]) -> None:
    (names,) = zip(*default_results([Path(name) for name in inputs], Options()), strict=True)
    assert [path.stem for path in names] == expected


def test_a_number_fits_into_a_long_name() -> None:
    for stem in ("x" * 255, "郵" * 80 + "-results", "a-results-9"):
        assert len(os.fsencode(numbered(stem, 2) + ".xlsx")) <= 255
    assert numbered("a-results-9", 2) == "a-results-10"
    assert numbered("chosen-2026", 2) == "chosen-2026-2"


def test_a_file_that_is_edited_while_the_results_are_written_is_kept(
    cli: CommandLine, hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last look is right before the draft takes its place."""
    cli("run", hosts)
    results = cli.folder / "output" / "hosts-results.xlsx"
    edited: list[bytes] = []
    write = results_workbook.write_workbook

    def write_and_edit(*arguments: Any, **more: Any) -> None:
        write(*arguments, **more)
        if not edited:
            edited.append(edit(results))

    monkeypatch.setattr(results_workbook, "write_workbook", write_and_edit)  # stands for a person who saves just now
    result = cli("run", hosts, "--json")
    assert result.json["results"] == ["output/hosts-results-2.xlsx"]
    assert results.read_bytes() == edited[0]
    assert (cli.folder / "output" / "hosts-results-2.xlsx").is_file()


def test_a_file_of_the_same_name_elsewhere_says_nothing_about_this_one(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts, "--results", "elsewhere/hosts-results.xlsx")
    (cli.folder / "output" / "hosts-results.xlsx").write_text("mine")
    assert cli("run", hosts, "--json").json["results"] == ["output/hosts-results-2.xlsx"]
    (cli.folder / "mine.xlsx").write_text("mine")
    for path in (cli.folder / "output").glob("*.xlsx"):
        path.unlink()
    (cli.folder / "output" / "hosts-results.xlsx").symlink_to("../mine.xlsx")
    assert cli("run", hosts, "--json").json["results"] == ["output/hosts-results-2.xlsx"]
    assert (cli.folder / "mine.xlsx").read_text() == "mine"


def test_a_call_never_replaces_one_of_its_inputs_or_its_own_results(cli: CommandLine, hosts: Path) -> None:
    cli("run", hosts)
    edit_port(cli.folder / "output" / "hosts-results.xlsx")
    before = (cli.folder / "output" / "hosts-results.xlsx").read_bytes()
    result = cli("run", hosts, "output/hosts-results.xlsx", "--json")
    written = [path for line in result.stdout.splitlines() for path in json.loads(line)["results"]]
    assert len(set(written)) == 2
    assert (cli.folder / "output" / "hosts-results.xlsx").read_bytes() == before


def edit_port(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    book.worksheets[0]["E3"] = "993"
    book.save(path)


def test_the_input_is_known_by_its_content(
    cli: CommandLine, hosts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From another folder, the path of the input in the store means nothing."""
    run_id = cli("run", "hosts.csv", "--json").json["run_id"]
    (cli.folder / "other").mkdir()
    monkeypatch.chdir(cli.folder / "other")
    before = hosts.read_bytes()
    result = cli("report", run_id, "--output", "../output", "--results", "../hosts.csv", "--json")
    assert result.json["results"] == ["../hosts-2.csv"]
    assert hosts.read_bytes() == before
    resumed = cli("report", run_id, "--output", "../output", "--json")
    assert resumed.json["results"] == ["../output/hosts-results.xlsx"]


@pytest.mark.parametrize("kind", ["loop", "folder", "long"])
def test_what_is_in_the_way_is_no_bug(cli: CommandLine, hosts: Path, kind: str) -> None:
    cli("run", hosts)
    output = cli.folder / "output"
    if kind == "folder":
        edit(output / "hosts-results.xlsx")
        (output / "hosts-results-2.xlsx").mkdir()
        assert cli("run", hosts, "--json").json["results"] == ["output/hosts-results-3.xlsx"]
    elif kind == "loop":
        (output / "hosts-results.xlsx").unlink()
        (output / "hosts-results.xlsx").symlink_to("hosts-results.xlsx")
        result = cli("run", hosts)
        assert result.exit_code == 1, result.stderr
        assert len(list(openpyxl.load_workbook(output / "hosts-results.xlsx")["results"].rows)) == 3
    else:
        result = cli("report", "last", "--results", f"{'x' * 300}.csv")
        assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)


def test_names_with_a_line_break_are_kept_in_the_store(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.write_csv("a\nb.csv", [imap("a"), imap("b")])
    assert cli("run", "a\nb.csv", "--first", "1").exit_code == 1
    assert cli("resume").exit_code == 0
    assert [path.name for path in (cli.folder / "output").glob("*.xlsx")] == ["a\nb-results.xlsx"]


@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_check_does_not_replace_edited_results(cli: CommandLine, hosts: Path, command: str) -> None:
    cli("run", hosts, "--results", "r.csv")
    edited = edit(cli.folder / "r.csv")
    assert cli(command, hosts, "--results", "r.csv", "--json").json["results"] == ["r-2.csv"]
    assert (cli.folder / "r.csv").read_bytes() == edited


def test_results_of_an_inbox_that_were_edited_are_not_replaced(cli: CommandLine, box: tuple[Path, Sandbox]) -> None:
    folder, sandbox = box
    sandbox.set_faults(Faults())
    cli("inbox", "box")
    (results,) = folder.rglob("failed/*/mail-results.xlsx")
    edited = edit(results)
    (written,) = cli("report", "last", "--output", "box", "--json").json["results"]
    assert Path(written).name == "mail-results-2.xlsx"
    assert results.read_bytes() == edited
