"""Where the header is, what a settings file maps, and columns of passwords: as every command shows them."""

from __future__ import annotations

import pytest

from bulkload.monitors.secret_columns import is_secret
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import PLAN, CommandLine

SECRET = "hunter2-secret"


def test_the_place_of_the_header_is_told_with_its_problems(cli: CommandLine) -> None:
    (cli.folder / "hosts.csv").write_text("Our hosts\n\nName,Hostnmae,Typ\nmx,mx.firma.de,imap\n", "utf-8")
    result = cli("check", "hosts.csv")
    assert result.exit_code == 2
    for part in ("The header (row 3) has 3 problems", 'did you mean "hostname"?', '"billing_plancode" is missing'):
        assert part in result.stderr
    fixed = ("--map", "Hostnmae=hostname", "--set", f"billing_plancode={PLAN}")
    assert "header: row 3" in cli("check", "hosts.csv", *fixed).stderr
    cli.monkeypatch.setenv("BULKLOAD_HEADER_ROW", "1")
    assert cli("check", "hosts.csv", *fixed).exit_code == 2


def test_the_map_of_the_settings_file_applies_where_its_column_exists(cli: CommandLine) -> None:
    (cli.folder / "bulkload.toml").write_text('[map]\n"Rack host" = "hostname"\n', "utf-8")
    (cli.folder / "own.csv").write_text(f"type,name,Rack host,plan\nimap,a,mx.firma.de,{PLAN}\n", "utf-8")
    (cli.folder / "plain.csv").write_text(f"type,name,hostname,plan\nimap,a,mx.firma.de,{PLAN}\n", "utf-8")
    assert cli("check", "own.csv").exit_code == 0
    assert cli("check", "plain.csv").exit_code == 0
    result = cli("check", "plain.csv", "--map", "Rack host=hostname")
    assert result.exit_code == 2
    assert 'the file has no column "Rack host"' in result.stderr


@pytest.mark.parametrize("column", ["Password", "Passwort", "mot de passe", "contraseña", "API-Key", "smtp_password"])
@pytest.mark.parametrize("option", [(), ("--ignore-unknown",)])
def test_a_secret_is_in_nothing_that_is_written(
    cli: CommandLine, sandbox: Sandbox, column: str, option: tuple[str, ...]
) -> None:
    rows = (f"imap,{name},{name}.example.com,{PLAN},{SECRET}\n" for name in ("a", "b."))
    (cli.folder / "hosts.csv").write_text(f"type,name,hostname,plan,{column}\n{''.join(rows)}", "utf-8")
    result = cli("run", "hosts.csv", "--results", "out.csv", "--results", "out.html", *option)
    assert result.exit_code == 1
    assert result.stderr.count(f'Column E "{column}"') == 1
    assert SECRET not in result.stdout + result.stderr
    assert len(sandbox.monitors()) == 1
    kept = [path for path in cli.folder.rglob("*") if path.is_file() and path.name != "hosts.csv"]
    assert len(kept) > 2
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    assert column in (cli.folder / "out.csv").read_text("utf-8-sig")


@pytest.mark.parametrize(
    "column", ["Key", "Clave", "Tokens left", "Passage", "Secretary", "name", "Bypass", "password policy"]
)
def test_other_columns_are_no_secrets(column: str) -> None:
    assert not is_secret(column)
