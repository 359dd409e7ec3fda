"""Rows that nearly match a monitor that is there: created all the same, with a warning that names it."""

from __future__ import annotations

import pytest

from bulkload.sandbox.server import running
from tests.support.command_line import PLAN, CommandLine, imap

ROUND_TRIP: dict[str, object] = {
    **{"type": "round-trip", "name": "bounce", "billing_plancode": PLAN, "email": "probe@example.com"},
    **{"smtp_hostname": "smtps://smtp.example.com:465", "pop3_hostname": "pop3s://pop.example.com:995"},
}
SAME_NAME = "Near miss: monitor 100001 {} has this type and name on another host, {}."
OTHER_SERVERS = (
    "Near miss: monitor 100001 bounce has this type and name on other hosts,"
    " smtps://smtp.example.com:465 and pop3s://pop.example.com:995."
)
SAME_PLACE = "Near miss: monitor 100001 {} checks the same type, host and port under another name."


@pytest.mark.parametrize(
    ("there", "row", "words"),
    [
        (imap("mx1"), imap("mx1", hostname="mx2.example.com"), SAME_NAME.format("mx1", "mx1.example.com port 143")),
        (imap("mx1"), imap("mx1", port=993), SAME_NAME.format("mx1", "mx1.example.com port 143")),
        (imap("mx1", port=993), imap("MX1 "), SAME_NAME.format("mx1", "mx1.example.com port 993")),
        (imap("mx1"), imap("Mail", hostname="MX1.example.com."), SAME_PLACE.format("mx1")),
        (imap("mx1"), imap("mx 1", port=143), SAME_PLACE.format("mx1")),
        (imap("mx1"), imap("mx 1", port=993), ""),
        (imap("mx1"), imap("mx1", hostname="mx2.example.com") | {"type": "smtp"}, ""),
        (imap("mx1"), imap("mx1") | {"type": "pop", "port": 143}, ""),
        (ROUND_TRIP, ROUND_TRIP | {"name": "other"}, SAME_PLACE.format("bounce")),
        (ROUND_TRIP, ROUND_TRIP | {"pop3_hostname": "pop3s://pop2.example.com:995"}, OTHER_SERVERS),
        (ROUND_TRIP, ROUND_TRIP | {"email": "other@example.com", "name": "other"}, SAME_PLACE.format("bounce")),
    ],
)
def test_a_near_miss_is_created_with_a_warning(
    cli: CommandLine, there: dict[str, object], row: dict[str, object], words: str
) -> None:
    """The warning is in the plan, as text and JSON, and in the results."""
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        assert cli.run(cli.write_csv("there.csv", [there]))[0].exit_code == 0
        sheet = cli.write_csv("new.csv", [row])
        planned, as_json = cli("plan", sheet), cli("plan", sheet, "--json").json
        assert words in planned.stdout
        assert ("warning, near miss: 1 row" in planned.stdout) is bool(words)
        assert [warning["message"] for warning in as_json["warnings"]] == ([words] if words else [])
        result, rows = cli.run(sheet)
        assert (result.exit_code, rows[0]["status"], rows[0]["error"]) == (0, "created", words)
        assert len(sandbox.monitors()) == 2


def test_both_kinds_at_once_and_many_of_one(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        there = [imap("a", hostname=f"mx{n}.example.com") for n in range(1, 4)] + [imap("b", hostname="x.example.com")]
        assert cli.run(cli.write_csv("there.csv", there), "--concurrency", "1")[0].exit_code == 0
        _, rows = cli.run(cli.write_csv("new.csv", [imap("a", hostname="x.example.com")]))
        host = "monitor 100001 a (and 2 more) has this type and name on another host, mx1.example.com port 143."
        name = "monitor 100004 b checks the same type, host and port under another name."
        assert rows[0]["error"] == f"Near miss: {host} Near miss: {name}"


def test_a_run_is_no_near_miss_of_itself(cli: CommandLine) -> None:
    """A run that goes on does not take what it made before for what was there before."""
    rows = [imap(f"name {n}") for n in range(4)]
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        result, _ = cli.run(cli.write_csv("new.csv", rows), "--first", "2")
        assert result.exit_code == 1
        again = cli("resume", "--results", "results.csv")
        assert (again.exit_code, len(sandbox.monitors())) == (0, 4)
        assert {row["error"] for row in cli.read_results("results.csv")} == {""}
        assert "Near miss" not in again.stderr


def test_existing_rows_are_no_near_miss(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        sheet = cli.write_csv("new.csv", [imap("a"), imap("b")])
        cli.run(sheet)
        _, rows = cli.run(sheet)
        assert [(row["status"], row["error"]) for row in rows] == [("exists", "")] * 2
