"""Every setting can come from every source, in a fixed order, and an invalid value says where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from bulkload.cli.main import cli as command_group
from bulkload.cli.options import OPTION_VARIABLES
from bulkload.errors import UsageError
from bulkload.sandbox.server import Sandbox
from bulkload.settings import SETTINGS_FILE, Options, check_credentials, load
from tests.support.command_line import CommandLine, imap

# setting → three different valid values, and an invalid one ("" if every value is valid)
VALUES: dict[str, tuple[str, str, str, str]] = {
    "rate": ("1/s", "120/min", "3", "fast"),
    "concurrency": ("1", "2", "3", "0"),
    "on_existing": ("skip", "update", "fail", "replace"),
    "trust_list": ("true", "false", "yes", "perhaps"),
    "create_lookalikes": ("true", "false", "yes", "perhaps"),
    "wait": ("true", "false", "on", "perhaps"),
    "verify": ("true", "false", "1", "perhaps"),
    "first": ("1", "2", "3", "none"),
    "strict": ("true", "false", "yes", "perhaps"),
    "max_errors": ("1", "2%", "3", "few"),
    "sheet": ("One", "Two", "Three", ""),
    "header_row": ("2", "3", "4", "first"),
    "skip_hidden": ("true", "false", "yes", "perhaps"),
    "encoding": ("UTF-8", "MacRoman", "gbk", "klingon"),
    "ignore_unknown": ("true", "false", "yes", "perhaps"),
    "from": ("nagios", "zabbix", "gatus", ""),
    "skip_private": ("true", "false", "yes", "perhaps"),
    "request_timeout": ("1", "2.5", "3", "0"),
    "output": ("one", "two", "three", ""),
    "sandbox": ("true", "false", "yes", "perhaps"),
    "json": ("true", "false", "yes", "perhaps"),
    "quiet": ("true", "false", "yes", "perhaps"),
    "color": ("always", "never", "auto", "blue"),
    "log_format": ("text", "json", "text", "xml"),
    "log_level": ("debug", "info", "error", "loud"),
    "settle_grace": ("1", "2", "3", "soon"),
    "settle_after": ("1", "2", "3", "-1"),
    "settle_timeout": ("1", "2", "3", "nan"),
    "watch": ("true", "false", "yes", "perhaps"),
    "keep": ("1", "2", "3", "ever"),
    "retry_for": ("1", "2", "3", "ever"),
    "prune": ("true", "false", "yes", "perhaps"),
    "prune_limit": ("1", "2%", "3", "few"),
    "metrics": ("one.prom", "two.prom", "three.prom", ""),
    "ping": ("https://a.example/1", "https://a.example/2", "https://a.example/3", "no URL"),
    "webhook_format": ("json", "slack", "teams", "discord"),
    "webhook": ("https://a.example/1", "https://a.example/2", "https://a.example/3", "no URL"),
    "unchanged_for": ("1", "2", "3", "soon"),
    "serve_key_file": ("one.txt", "two.txt", "three.txt", ""),
    "user_header": ("X-User", "X-Remote-User", "Remote-User", "X User"),
}
TABLES_AND_LISTS = {"set", "map", "results", "allowed_host", "trusted_proxy"}  # tested below


def _name(field: str) -> str:
    return field.rstrip("_")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("USERNAME", "PASSWORD", "PASSWORD_FILE", "TOKEN", "BASE_URL"):
        monkeypatch.delenv(f"ALERTSITE_{name}", raising=False)
    return iter([tmp_path])


def _value(options: Options, name: str) -> Any:
    return getattr(options, name if name in Options.model_fields else f"{name}_")


def _parsed(name: str, text: str) -> Any:
    """The value of a text, as the setting of a command-line option."""
    return _value(load({name: text})[1], name)


def test_every_setting_is_tested() -> None:
    assert {_name(field) for field in Options.model_fields} == VALUES.keys() | TABLES_AND_LISTS


@pytest.mark.parametrize("name", VALUES)
def test_an_option_overrides_the_environment_which_overrides_the_file(
    name: str, folder: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file, in_environment, argument, _ = VALUES[name]
    expected = {text: _parsed(name, text) for text in (in_file, in_environment, argument)}
    default = _value(Options(), name)
    assert _value(load({})[1], name) == default
    Path(SETTINGS_FILE).write_text(f'{name} = "{in_file}"\n', "utf-8")
    assert _value(load({})[1], name) == expected[in_file]
    monkeypatch.setenv(f"BULKLOAD_{name.upper()}", in_environment)
    assert _value(load({})[1], name) == expected[in_environment]
    assert _value(load({name: argument})[1], name) == expected[argument]
    assert _value(load({name: None})[1], name) == expected[in_environment], "None counts as omitted"


@pytest.mark.parametrize("name", [name for name, values in VALUES.items() if values[3]])
def test_an_invalid_value_says_where_it_came_from_and_what_is_allowed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalid = VALUES[name][3]
    with pytest.raises(UsageError) as as_option:
        load({name: invalid})
    assert f"--{name.replace('_', '-')} is" in str(as_option.value)
    Path(SETTINGS_FILE).write_text(f'{name} = "{invalid}"\n', "utf-8")
    with pytest.raises(UsageError) as in_file:
        load({})
    assert f"{name} in {SETTINGS_FILE} is" in str(in_file.value)
    Path(SETTINGS_FILE).unlink()
    monkeypatch.setenv(f"BULKLOAD_{name.upper()}", invalid)
    with pytest.raises(UsageError) as in_environment:
        load({})
    assert f"BULKLOAD_{name.upper()} is" in str(in_environment.value)
    for caught in (as_option, in_file, in_environment):
        message = str(caught.value)
        assert message.endswith("."), message
        assert "allowed" in message or "must" in message or "a rate is" in message or "https" in message, message
        assert not re.search(r"pydantic|Input should|validation error|type=", message), message


# ── tables and lists ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_environment_and_options_extend_the_tables_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(SETTINGS_FILE).write_text('[defaults]\ninterval = 5\nenabled = true\n[map]\nServer = "hostname"\n', "utf-8")
    assert load({})[1].set == {"interval": "5", "enabled": "true"}
    monkeypatch.setenv("BULKLOAD_SET", "interval=10\nnote=a=b")
    assert load({})[1].set == {"interval": "10", "enabled": "true", "note": "a=b"}
    options = load({"set": ("interval=15",), "map": ("Kind=type",)})[1]
    assert options.set == {"interval": "15", "enabled": "true"}
    assert options.map == {"Server": "hostname", "Kind": "type"}


@pytest.mark.parametrize("invalid", ["interval", "=5"])
def test_a_pair_without_two_sides_is_refused(invalid: str) -> None:
    with pytest.raises(UsageError, match=f"^--set is 'a=b', '{invalid}'; '{invalid}' is not of the form field=value"):
        load({"set": ("a=b", invalid)})
    with pytest.raises(UsageError, match=f"^--map is '{invalid}'; '{invalid}' is not of the form column=field"):
        load({"map": (invalid,)})


def test_results_can_be_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKLOAD_RESULTS", "a.csv\nb.xlsx")
    assert load({})[1].results == [Path("a.csv"), Path("b.xlsx")]
    assert load({"results": (Path("c.csv"),)})[1].results == [Path("c.csv")]


def test_hosts_and_proxies_can_be_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKLOAD_ALLOWED_HOST", "a.example, B.example\n10.0.0.1")
    monkeypatch.setenv("BULKLOAD_TRUSTED_PROXY", "10.0.0.0/8 ::1")
    options = load({})[1]
    assert options.allowed_host == ["a.example", "b.example", "10.0.0.1"]
    assert options.trusted_proxy == ["10.0.0.0/8", "::1"]
    assert load({"allowed_host": ("c.example",)})[1].allowed_host == ["c.example"]


@pytest.mark.parametrize("invalid", ["a.example:80", "https://a.example", "*"])
def test_a_host_with_anything_else_is_refused(invalid: str) -> None:
    with pytest.raises(UsageError, match=r"^--allowed-host is '.*'; a host name or address without a port is allowed"):
        load({"allowed_host": (invalid,)})


def test_a_proxy_is_named_by_its_address() -> None:
    with pytest.raises(UsageError, match=r"^--trusted-proxy is 'proxy\.example'; an IP address or a network"):
        load({"trusted_proxy": ("proxy.example",)})


# ── the account ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_environment_overrides_the_account_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(SETTINGS_FILE).write_text('base_url = "https://file.example/v3"\nusername = "filed"\n', "utf-8")
    account, _ = load({})
    assert (account.base_url, account.username) == ("https://file.example/v3", "filed")
    monkeypatch.setenv("ALERTSITE_BASE_URL", "https://environment.example/v3/")
    monkeypatch.setenv("ALERTSITE_USERNAME", "from-environment")
    account, _ = load({})
    assert (account.base_url, account.username) == ("https://environment.example/v3", "from-environment")


@pytest.mark.parametrize(
    "unsafe",
    [
        "api.example.com/v3",
        "ftp://api.example.com",
        "http://api.example.com/v3",
        "https://user:pa55@api.example.com",
        "https://api.example.com/v3?key=1",
        "https://",
        "http://127.0.0.1.example.com/v3",
        "http://localhost.example.com",
    ],
)
def test_an_unsafe_url_is_refused(unsafe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_BASE_URL", unsafe)
    with pytest.raises(UsageError, match="ALERTSITE_BASE_URL"):
        load({})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80/v3", "http://localhost:1/v3", "http://[::1]:5/v3", "https://x.example"]
)
def test_plain_http_is_allowed_only_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_BASE_URL", url)
    assert load({})[0].base_url == url


@pytest.mark.parametrize("secret", ["password", "token"])
def test_a_secret_in_the_settings_file_is_refused_and_not_shown(secret: str) -> None:
    Path(SETTINGS_FILE).write_text(f'{secret} = "pa55-canary"\n', "utf-8")
    with pytest.raises(UsageError, match=f"ALERTSITE_{secret.upper()}") as caught:
        load({})
    assert "pa55-canary" not in str(caught.value)


def test_a_secret_is_not_in_any_text_form_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_PASSWORD", "pa55-canary")
    monkeypatch.setenv("ALERTSITE_TOKEN", "t0ken-canary")
    account, options = load({})
    assert "canary" not in f"{account!r}{account}{options!r}{account.model_dump()}{account.model_dump_json()}"


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, ["ALERTSITE_USERNAME", "ALERTSITE_PASSWORD"]),
        ({"USERNAME": "u"}, ["ALERTSITE_PASSWORD"]),
        ({"PASSWORD": "p"}, ["ALERTSITE_USERNAME"]),
    ],
)
def test_missing_credentials_are_named(
    environment: dict[str, str], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"ALERTSITE_{name}", value)
    with pytest.raises(UsageError) as caught:
        check_credentials(load({})[0])
    named = [name for name in ("ALERTSITE_USERNAME", "ALERTSITE_PASSWORD") if name in str(caught.value)]
    assert named == missing


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("concurency = 3\n", "did you mean concurrency"),
        ("nonsense = 3\n", "Allowed are"),
        ("rate = \n", "is not valid TOML"),
        ("defaults = 3\n", "must be a table"),
        ("[set]\ninterval = 3\n", "unknown setting"),
    ],
)
def test_a_settings_file_with_a_mistake_is_refused(text: str, message: str) -> None:
    Path(SETTINGS_FILE).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=message):
        load({})


def test_a_settings_file_that_is_named_must_exist() -> None:
    with pytest.raises(UsageError, match=r"other\.toml"):
        load({}, Path("other.toml"))


def test_a_settings_file_that_is_not_utf8_is_refused() -> None:
    Path(SETTINGS_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="save it as UTF-8"):
        load({})


def test_a_settings_file_may_begin_with_a_byte_order_mark() -> None:
    Path(SETTINGS_FILE).write_text("concurrency = 3\n", "utf-8-sig")
    assert load({})[1].concurrency == 3


# ── options that are not settings, and variables that are neither ──────────────────────────────────────────────


def test_every_option_has_a_variable() -> None:
    """It is read by `load` or by the option itself; the options of `sandbox` have none."""
    settings = {f"BULKLOAD_{name.upper()}" for name in VALUES.keys() | TABLES_AND_LISTS}
    commands = [command_group, *(command for name, command in command_group.commands.items() if name != "sandbox")]
    options = [param for command in commands for param in command.params if isinstance(param, click.Option)]
    for option in (option for option in options if option.name != "version"):
        assert f"BULKLOAD_{option.opts[0].lstrip('-').replace('-', '_').upper()}" in settings | {option.envvar}
    assert {option.envvar for option in options if option.envvar} == OPTION_VARIABLES


def test_a_variable_can_name_the_settings_file(cli: CommandLine) -> None:
    (cli.folder / "other.toml").write_text('[defaults]\nbilling_plancode = "X"\n', "utf-8")
    sheet = cli.write_csv("hosts.csv", [{"type": "imap", "name": "a", "hostname": "mx1.example.com"}])
    assert cli("check", sheet).exit_code == 2
    cli.monkeypatch.setenv("BULKLOAD_CONFIG", "other.toml")
    assert cli("check", sheet).exit_code == 0
    cli.monkeypatch.setenv("BULKLOAD_CONFIG", "missing.toml")
    assert cli("check", sheet).exit_code == 2


def test_options_of_one_command_can_be_set_in_the_environment(cli: CommandLine, sandbox: Sandbox) -> None:
    sheet = cli.write_csv("hosts.csv", [imap("a")])
    run = cli("run", sheet, "--json").json["run_id"]
    assert [cli("export", "all.csv").exit_code for _ in range(2)] == [0, 2]
    cli.monkeypatch.setenv("BULKLOAD_OVERWRITE", "true")
    assert cli("export", "all.csv").exit_code == 0
    cli.monkeypatch.setenv("BULKLOAD_YES", "1")
    cli.monkeypatch.setenv("BULKLOAD_DRY_RUN", "1")
    assert (cli("undo", run).exit_code, len(sandbox.monitors())) == (0, 1)
    cli.monkeypatch.setenv("BULKLOAD_DRY_RUN", "")
    assert (cli("undo", run).exit_code, len(sandbox.monitors())) == (0, 0)


@pytest.mark.parametrize(
    ("variable", "similar"),
    [
        ("BULKLOAD_RAET", "BULKLOAD_RATE"),
        ("BULKLOAD_MAX_ERROR", "BULKLOAD_MAX_ERRORS"),
        ("BULKLOAD_LOGLEVEL", "BULKLOAD_LOG_LEVEL"),
        ("BULKLOAD_OVERWRITES", "BULKLOAD_OVERWRITE"),
        ("BULKLOAD_ALL_TESTS", ""),
        ("BULKLOAD_BROWSER_TESTS", ""),
        ("BULKLOAD_MIGRATION_SAMPLES", ""),
        ("BULKLOAD_TORTURE_MINUTES", ""),
        ("BULKLOAD_IMAGE", ""),
        ("OTHER_RAET", ""),
    ],
)
def test_a_misspelled_variable_is_reported_once(cli: CommandLine, variable: str, similar: str) -> None:
    cli.monkeypatch.setenv(variable, "2/s")
    result = cli("check", cli.write_csv("hosts.csv", [imap("a")]), "--quiet")
    warning = f"WARNING: The environment variable {variable} has no effect; did you mean {similar}?\n"
    assert (result.exit_code, result.stderr) == (0, warning if similar else "")
    cli.monkeypatch.setenv(variable, "")
    assert cli("check", cli.folder / "hosts.csv", "--quiet").stderr == ""
