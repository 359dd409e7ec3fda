"""A host that is reserved for examples never reaches a real account; the sandbox and tests can use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.model import Input, State, Status
from bulkload.operations.pipeline import begin
from bulkload.operations.template import write_template
from bulkload.sandbox.server import Sandbox
from bulkload.settings import Account, Options
from bulkload.stages.intake import open_input
from bulkload.store.runs import Store
from tests.support.command_line import PLAN, CommandLine

REAL = "https://api.alertsite.com/api/v3"
HOSTS = {
    **dict.fromkeys(("mail.example.com", "EXAMPLE.net", "a.b.example.org", "mx.example", "x.invalid", "mx.test"), True),
    **dict.fromkeys(("mail.firma.de", "myexample.com", "example.com.firma.de", "mx.testing"), False),
}


def states(tmp_path: Path, host: str, base_url: str, **options: object) -> list[object]:
    path = tmp_path / "hosts.csv"
    path.write_text(f"type,name,hostname,plan\nimap,a,{host},{PLAN}\n", "utf-8")
    account = Account(base_url=base_url, username="u", password="p")  # type: ignore[arg-type]
    settings = Options(output=tmp_path / "output", **options)  # type: ignore[arg-type]
    with Store(settings.output) as store:
        store.lock()
        context = begin(store, Input.at(path), account, settings)
        return [row.status for row in store.report_rows(context.run)]


@pytest.mark.parametrize(("host", "is_reserved"), HOSTS.items())
def test_a_reserved_host_is_an_issue_of_its_row(tmp_path: Path, host: str, is_reserved: bool) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text(f"type,name,hostname,plan\nimap,a,{host},{PLAN}\n", "utf-8")
    with open_input(Input.at(path), Options(), examples="refuse") as opened:
        (row,) = opened.rows
    assert row.state is (Status.INVALID if is_reserved else State.PENDING)
    if is_reserved:
        assert "is a reserved example name" in row.error
        assert row.error_columns == ("hostname",)


@pytest.mark.parametrize(
    ("base_url", "sandbox", "is_refused"),
    [
        (REAL, False, True),
        (REAL, True, False),
        ("http://127.0.0.1:9/api", False, False),
        ("https://api.example.com/v3", False, False),
    ],
)
def test_only_a_real_account_refuses_it(tmp_path: Path, base_url: str, sandbox: bool, is_refused: bool) -> None:
    (status,) = states(tmp_path, "mail.example.com", base_url, sandbox=sandbox)
    assert (status is Status.INVALID) is is_refused


def test_check_warns_about_the_examples_of_the_template(cli: CommandLine) -> None:
    write_template(cli.folder / "t.xlsx")
    result = cli("check", "t.xlsx")
    assert result.exit_code == 0
    assert result.stdout.count("is an example row of the template") == 4


def test_the_template_runs_in_the_sandbox(cli: CommandLine, sandbox: Sandbox) -> None:
    write_template(cli.folder / "t.xlsx")
    assert cli("run", "t.xlsx").exit_code == 0
    assert {str(monitor["name"]).split()[0] for monitor in sandbox.monitors()} == {"EXAMPLE"}
