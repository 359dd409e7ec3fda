"""Every setting can come from every place, in one order, and a wrong value says where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from bulkload.cli.main import cli
from bulkload.cli.options import VARIABLES
from bulkload.errors import UsageError
from bulkload.sandbox.server import Sandbox
from bulkload.settings import SETTINGS_FILE, Options, check_credentials, load
from tests.support.command_line import Desk, imap

# setting → three different good values, and one that is wrong ("" where nothing is)
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
    "ignore_unknown": ("true", "false", "yes", "perhaps"),
    "from": ("nagios", "zabbix", "gatus", ""),
    "skip_private": ("true", "false", "yes", "perhaps"),
    "request_timeout": ("1", "2.5", "3", "0"),
    "output": ("one", "two", "three", ""),
    "sandbox": ("true", "false", "yes", "perhaps"),
    "json": ("true", "false", "yes", "perhaps"),
    "quiet": ("true", "false", "yes", "perhaps"),
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
    "ping": ("https://a.example/1", "https://a.example/2", "https://a.example/3", "no address"),
    "webhook": ("https://a.example/1", "https://a.example/2", "https://a.example/3", "no address"),
    "unchanged_for": ("1", "2", "3", "soon"),
}
ELSEWHERE = {"set", "map", "results"}  # tables and lists, tried below


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


def _meaning(name: str, text: str) -> Any:
    """What a text means, by the one place that is sure to be read: an option that is given."""
    return _value(load({name: text})[1], name)


def test_no_setting_is_left_out_here() -> None:
    assert {_name(field) for field in Options.model_fields} == VALUES.keys() | ELSEWHERE


@pytest.mark.parametrize("name", VALUES)
def test_an_option_goes_before_the_environment_before_the_file_before_the_default(
    name: str, folder: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file, in_environment, given, _ = VALUES[name]
    expected = {text: _meaning(name, text) for text in (in_file, in_environment, given)}
    default = _value(Options(), name)
    assert _value(load({})[1], name) == default
    Path(SETTINGS_FILE).write_text(f'{name} = "{in_file}"\n', "utf-8")
    assert _value(load({})[1], name) == expected[in_file]
    monkeypatch.setenv(f"BULKLOAD_{name.upper()}", in_environment)
    assert _value(load({})[1], name) == expected[in_environment]
    assert _value(load({name: given})[1], name) == expected[given]
    assert _value(load({name: None})[1], name) == expected[in_environment], "an option that is not given is not there"


@pytest.mark.parametrize("name", [name for name, values in VALUES.items() if values[3]])
def test_a_wrong_value_says_where_it_came_from_and_what_is_allowed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = VALUES[name][3]
    with pytest.raises(UsageError) as given:
        load({name: wrong})
    assert f"--{name.replace('_', '-')} is" in str(given.value)
    Path(SETTINGS_FILE).write_text(f'{name} = "{wrong}"\n', "utf-8")
    with pytest.raises(UsageError) as in_file:
        load({})
    assert f"{name} in {SETTINGS_FILE} is" in str(in_file.value)
    Path(SETTINGS_FILE).unlink()
    monkeypatch.setenv(f"BULKLOAD_{name.upper()}", wrong)
    with pytest.raises(UsageError) as in_environment:
        load({})
    assert f"BULKLOAD_{name.upper()} is" in str(in_environment.value)
    for caught in (given, in_file, in_environment):
        words = str(caught.value)
        assert words.endswith("."), words
        assert "allowed" in words or "must" in words or "a rate is" in words or "https" in words, words
        assert not re.search(r"pydantic|Input should|validation error|type=", words), words


# ── tables and lists ──────────────────────────────────────────────────────────────────────────────────────────


def test_tables_of_the_file_are_filled_up_by_the_environment_and_by_options(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(SETTINGS_FILE).write_text('[defaults]\ninterval = 5\nenabled = true\n[map]\nServer = "hostname"\n', "utf-8")
    assert load({})[1].set == {"interval": "5", "enabled": "true"}
    monkeypatch.setenv("BULKLOAD_SET", "interval=10\nnote=a=b")
    assert load({})[1].set == {"interval": "10", "enabled": "true", "note": "a=b"}
    options = load({"set": ("interval=15",), "map": ("Kind=type",)})[1]
    assert options.set == {"interval": "15", "enabled": "true"}
    assert options.map == {"Server": "hostname", "Kind": "type"}


@pytest.mark.parametrize("wrong", ["interval", "=5"])
def test_a_pair_without_two_sides_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=f"^--set is 'a=b', '{wrong}'; '{wrong}' is not of the form field=value"):
        load({"set": ("a=b", wrong)})
    with pytest.raises(UsageError, match=f"^--map is '{wrong}'; '{wrong}' is not of the form column=field"):
        load({"map": (wrong,)})


def test_results_can_be_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKLOAD_RESULTS", "a.csv\nb.xlsx")
    assert load({})[1].results == [Path("a.csv"), Path("b.xlsx")]
    assert load({"results": (Path("c.csv"),)})[1].results == [Path("c.csv")]


# ── the account ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_account_comes_from_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(SETTINGS_FILE).write_text('base_url = "https://file.example/v3"\nusername = "filed"\n', "utf-8")
    account, _ = load({})
    assert (account.base_url, account.username) == ("https://file.example/v3", "filed")
    monkeypatch.setenv("ALERTSITE_BASE_URL", "https://environment.example/v3/")
    monkeypatch.setenv("ALERTSITE_USERNAME", "surrounding")
    account, _ = load({})
    assert (account.base_url, account.username) == ("https://environment.example/v3", "surrounding")


@pytest.mark.parametrize(
    "wrong",
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
def test_an_address_that_is_not_safe_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_BASE_URL", wrong)
    with pytest.raises(UsageError, match="ALERTSITE_BASE_URL"):
        load({})


@pytest.mark.parametrize(
    "good", ["http://127.0.0.1:80/v3", "http://localhost:1/v3", "http://[::1]:5/v3", "https://x.example"]
)
def test_plain_http_is_allowed_to_this_machine_only(good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_BASE_URL", good)
    assert load({})[0].base_url == good


@pytest.mark.parametrize("secret", ["password", "token"])
def test_a_secret_in_the_settings_file_is_refused_and_not_shown(secret: str) -> None:
    Path(SETTINGS_FILE).write_text(f'{secret} = "pa55-canary"\n', "utf-8")
    with pytest.raises(UsageError, match=f"ALERTSITE_{secret.upper()}") as caught:
        load({})
    assert "pa55-canary" not in str(caught.value)


def test_a_secret_is_not_in_the_words_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_what_is_missing_to_log_in_is_named(
    environment: dict[str, str], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"ALERTSITE_{name}", value)
    with pytest.raises(UsageError) as caught:
        check_credentials(load({})[0])
    found = [
        name for name in ("ALERTSITE_USERNAME", "ALERTSITE_PASSWORD") if name in str(caught.value).split(" or try")[0]
    ]
    assert found == missing


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("concurency = 3\n", "did you mean concurrency"),
        ("nonsense = 3\n", "Allowed are"),
        ("rate = \n", "is not TOML"),
        ("defaults = 3\n", "is a table"),
        ("[set]\ninterval = 3\n", "unknown setting"),
    ],
)
def test_a_settings_file_with_a_mistake_is_refused_in_words(text: str, words: str) -> None:
    Path(SETTINGS_FILE).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=words):
        load({})


def test_a_settings_file_that_is_named_must_be_there() -> None:
    with pytest.raises(UsageError, match=r"other\.toml"):
        load({}, Path("other.toml"))


def test_a_settings_file_that_is_not_text_is_refused() -> None:
    Path(SETTINGS_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="save it as UTF-8"):
        load({})


def test_a_settings_file_may_begin_with_a_mark() -> None:
    Path(SETTINGS_FILE).write_text("concurrency = 3\n", "utf-8-sig")
    assert load({})[1].concurrency == 3


# ── options that are no settings, and variables that are neither ──────────────────────────────────────────────


def test_every_option_has_its_variable() -> None:
    """It is read by `load`, or by the option itself; the stand-in and its options are another program."""
    settings = {f"BULKLOAD_{name.upper()}" for name in VALUES.keys() | ELSEWHERE}
    commands = [cli, *(command for name, command in cli.commands.items() if name != "sandbox")]
    options = [one for command in commands for one in command.params if isinstance(one, click.Option)]
    for option in (option for option in options if option.name != "version"):
        assert f"BULKLOAD_{option.opts[0].lstrip('-').replace('-', '_').upper()}" in settings | {option.envvar}
    assert {option.envvar for option in options if option.envvar} == VARIABLES


def test_the_settings_file_can_be_named_in_the_environment(desk: Desk) -> None:
    (desk.folder / "other.toml").write_text('[defaults]\nbilling_plancode = "X"\n', "utf-8")
    sheet = desk.sheet("hosts.csv", [{"type": "imap", "name": "a", "hostname": "mx1.example.com"}])
    assert desk("check", sheet).exit_code == 2
    desk.environment.setenv("BULKLOAD_CONFIG", "other.toml")
    assert desk("check", sheet).exit_code == 0
    desk.environment.setenv("BULKLOAD_CONFIG", "missing.toml")
    assert desk("check", sheet).exit_code == 2


def test_options_of_one_command_can_be_given_in_the_environment(desk: Desk, sandbox: Sandbox) -> None:
    sheet = desk.sheet("hosts.csv", [imap("a")])
    run = desk("run", sheet, "--json").json["run_id"]
    assert [desk("export", "all.csv").exit_code for _ in range(2)] == [0, 2]
    desk.environment.setenv("BULKLOAD_OVERWRITE", "true")
    assert desk("export", "all.csv").exit_code == 0
    desk.environment.setenv("BULKLOAD_YES", "1")
    desk.environment.setenv("BULKLOAD_DRY_RUN", "1")
    assert (desk("undo", run).exit_code, len(sandbox.monitors())) == (0, 1)
    desk.environment.setenv("BULKLOAD_DRY_RUN", "")
    assert (desk("undo", run).exit_code, len(sandbox.monitors())) == (0, 0)


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("BULKLOAD_RAET", "BULKLOAD_RATE"),
        ("BULKLOAD_MAX_ERROR", "BULKLOAD_MAX_ERRORS"),
        ("BULKLOAD_LOGLEVEL", "BULKLOAD_LOG_LEVEL"),
        ("BULKLOAD_OVERWRITES", "BULKLOAD_OVERWRITE"),
        ("BULKLOAD_ALL_TESTS", ""),
        ("BULKLOAD_MIGRATION_SAMPLES", ""),
        ("BULKLOAD_TORTURE_MINUTES", ""),
        ("BULKLOAD_IMAGE", ""),
        ("OTHER_RAET", ""),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_named_once(desk: Desk, variable: str, near: str) -> None:
    desk.environment.setenv(variable, "2/s")
    ended = desk("check", desk.sheet("hosts.csv", [imap("a")]), "--quiet")
    said = f"WARNING: {variable} in the environment is not a setting and has no effect; did you mean {near}?\n"
    assert (ended.exit_code, ended.stderr) == (0, said if near else "")
    desk.environment.setenv(variable, "")
    assert desk("check", desk.folder / "hosts.csv", "--quiet").stderr == ""
