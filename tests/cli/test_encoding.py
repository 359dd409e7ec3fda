"""A guessed encoding creates no monitor; the user's word or a corrected file does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.sandbox.server import Sandbox
from tests.support.command_line import PLAN, CommandLine

HEADER = "type;name;hostname;billing_plancode"
ROWS = ("imap;Büro München;imap.example.com;" + PLAN, "pop;Office;pop.example.com;" + PLAN)
NOTE_ROWS = ("imap;a;imap.example.com;" + PLAN + ";Büro", "pop;b;pop.example.com;" + PLAN + ";")


def written(cli: CommandLine, encoding: str, rows: tuple[str, ...] = ROWS, header: str = HEADER) -> Path:
    path = cli.folder / "hosts.csv"
    path.write_bytes("".join(f"{line}\r" for line in (header, *rows)).encode(encoding))
    return path


def names(sandbox: Sandbox) -> list[str]:
    return sorted(str(monitor["name"]) for monitor in sandbox.monitors())


@pytest.mark.parametrize("encoding", ["mac_roman", "cp1252", "cp850"])
def test_a_row_in_doubt_is_not_created_and_the_corrected_file_creates_it_once(
    cli: CommandLine, sandbox: Sandbox, encoding: str
) -> None:
    result, rows = cli.run(written(cli, encoding))
    assert (result.exit_code, [row["status"] for row in rows]) == (1, ["invalid", "created"])
    assert "Windows-1252 (assumed)" in result.stderr
    assert rows[0]["error_columns"] == "name"
    assert '"Büro München" in ' in rows[0]["error"]
    assert names(sandbox) == ["Office"]
    result, rows = cli.run(written(cli, "utf-8"))
    assert (result.exit_code, [row["status"] for row in rows]) == (0, ["created", "exists"])
    assert names(sandbox) == ["Büro München", "Office"]


@pytest.mark.parametrize("results", ["results.csv", "results.xlsx"])
def test_the_results_of_a_row_in_doubt_are_in_doubt(cli: CommandLine, sandbox: Sandbox, results: str) -> None:
    """They are Unicode, so that a guess in them would be certain; --encoding does not change them."""
    cli("run", written(cli, "mac_roman"), "--results", results)
    for arguments in ([], ["--encoding", "utf-8"]):
        result = cli("check", results, *arguments)
        assert result.exit_code == 1
        assert 'name is "B\ufffdro M\ufffdnchen", because its encoding was not known' in result.stdout
    cli("run", results)
    assert names(sandbox) == ["Office"]


@pytest.mark.parametrize("source", ["option", "environment", "file"])
def test_the_user_names_the_encoding(cli: CommandLine, sandbox: Sandbox, source: str) -> None:
    arguments = ["--encoding", "MacRoman"] if source == "option" else []
    if source == "environment":
        cli.monkeypatch.setenv("BULKLOAD_ENCODING", "mac roman")
    if source == "file":
        (cli.folder / "bulkload.toml").write_text('encoding = "macintosh"\n', "utf-8")
    result, rows = cli.run(written(cli, "mac_roman"), *arguments)
    assert (result.exit_code, [row["status"] for row in rows]) == (0, ["created", "created"])
    assert "MacRoman (given)" in result.stderr
    assert names(sandbox) == ["Büro München", "Office"]
    cli("run", written(cli, "utf-8"))  # the encoding that a setting still names is contradicted
    assert names(sandbox) == ["Büro München", "Office"]


def test_an_unknown_encoding_is_a_usage_error_with_a_suggestion(cli: CommandLine) -> None:
    for command in (["check"], ["plan"], ["run"], ["convert"]):
        result = cli(
            *command, written(cli, "utf-8"), *(["out.csv"] * (command == ["convert"])), "--encoding", "mcroman"
        )
        assert result.exit_code == 2
        assert "--encoding is 'mcroman'; " in result.stderr
        assert "did you mean MacRoman" in result.stderr


def test_an_encoding_has_no_effect_on_a_workbook(cli: CommandLine, sandbox: Sandbox) -> None:
    cli("run", written(cli, "utf-8"), "--results", "results.xlsx")
    assert cli("check", "results.xlsx", "--encoding", "cp1251").exit_code == 0


def test_text_in_doubt_that_is_not_sent_is_a_warning(cli: CommandLine, sandbox: Sandbox) -> None:
    path = written(cli, "mac_roman", NOTE_ROWS, HEADER + ";Rack")
    checked = cli("check", path, "--ignore-unknown")
    assert checked.exit_code == 0
    assert 'row 2, column "Rack": warning: The file\'s encoding is not known: the cell is "Büro" in' in checked.stdout
    result, rows = cli.run(path, "--ignore-unknown")
    assert (result.exit_code, [row["status"] for row in rows]) == (0, ["created", "created"])
    assert rows[0]["Rack"] == "BŸro"


def test_text_in_doubt_that_is_sent_is_an_error(cli: CommandLine) -> None:
    result = cli("check", written(cli, "mac_roman", NOTE_ROWS, HEADER + ";note"))
    assert result.exit_code == 1
    assert 'row 2, column "note": The file\'s encoding is not known' in result.stdout


def test_a_header_in_doubt_is_never_dropped_without_a_word(cli: CommandLine) -> None:
    path = written(cli, "mac_roman", NOTE_ROWS[1:], HEADER + ";Büro")
    unknown = cli("check", path)
    assert unknown.exit_code == 2
    assert 'Column E: The file\'s encoding is not known: the cell is "Büro" in MacRoman' in unknown.stderr
    ignored = cli("check", path, "--ignore-unknown")
    assert ignored.exit_code == 0
    assert '"Büro" in MacRoman' in ignored.stdout + ignored.stderr
    mapped = cli("check", path, "--map", "BŸro=note")
    assert mapped.exit_code == 2
    assert "The header is not certain" in mapped.stderr
    assert cli("check", path, "--map", "Büro=note", "--encoding", "macroman").exit_code == 0
    sent = written(cli, "mac_roman", NOTE_ROWS[1:], HEADER + ";api:Büro")
    assert cli("check", sent).exit_code == 2


NAGIOS = """define host {{
    host_name  {host}
    address    mail.example.com
}}
define service {{
    host_name            {host}
    service_description  IMAP
    check_command        check_imap
}}
define service {{
    host_name            {host}
    service_description  SMTP
    check_command        check_smtp
}}
define command {{
    command_name check_imap
    command_line /usr/lib/nagios/plugins/check_imap -H $HOSTADDRESS$
}}
define command {{
    command_name check_smtp
    command_line /usr/lib/nagios/plugins/check_smtp -H $HOSTADDRESS$
}}
"""


def test_text_of_another_tools_configuration_that_is_not_utf8_is_an_error_of_its_object(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    path = cli.folder / "hosts.cfg"
    path.write_bytes(("# Überwachung\n" + NAGIOS.format(host="büro")).encode("latin-1"))
    result = cli("convert", path, "out.csv")
    assert (result.exit_code, "Rows: 0, skipped: 0, errors: 2" in result.stdout) == (1, True)
    left_out = (cli.folder / "out-left-out.csv").read_text("utf-8-sig")
    assert "büro" in left_out
    assert "--encoding" in left_out
    assert cli("run", path, "--set", f"billing_plancode={PLAN}").exit_code == 1
    assert names(sandbox) == []
    result = cli("convert", path, "out2.csv", "--encoding", "latin1")
    assert result.exit_code == 0
    assert "büro" in (cli.folder / "out2.csv").read_text("utf-8-sig")
    assert cli("run", path, "--encoding", "ISO-8859-1", "--set", f"billing_plancode={PLAN}").exit_code == 0
    assert len(names(sandbox)) == 2
    assert "büro" in " ".join(names(sandbox))


def test_comments_in_another_encoding_do_not_matter_to_a_configuration(cli: CommandLine) -> None:
    path = cli.folder / "hosts.cfg"
    path.write_bytes(("# Überwachung\n" + NAGIOS.format(host="mail")).encode("latin-1"))
    assert cli("convert", path, "out.csv").exit_code == 0


def test_names_that_differ_only_in_undecoded_bytes_stay_different(cli: CommandLine) -> None:
    path = cli.folder / "hosts.cfg"
    text = NAGIOS.format(host="müller") + NAGIOS.format(host="möller").partition("define command")[0]
    path.write_bytes(text.replace("mail.example.com", "mail2.example.com", 1).encode("latin-1"))
    assert "errors: 4" in cli("convert", path, "out.csv").stdout
    result = cli("convert", path, "out2.csv", "--encoding", "cp1252")
    assert "Rows: 4, skipped: 0, errors: 0" in result.stdout
