"""Options are those of the command line; the account comes from the caller or from the environment."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bulkload as bl
from bulkload.cli.main import cli
from bulkload.python import options
from bulkload.sandbox.server import Sandbox
from tests.python.conftest import hosts


async def a_coroutine(counts: object) -> None: ...


OF_THE_CALL = {
    "output",
    "json",
    "quiet",
    "color",
    "log_format",
    "log_level",
}  # arguments of their own, or without a meaning
SETTINGS_ONLY = {"config", "settle_grace", "settle_after", "settle_timeout"}


@pytest.mark.parametrize(
    ("command", "kind", "own"),
    [
        ("run", options.RunOptions, set()),
        ("plan", options.RunOptions, set()),
        ("check", options.InputOptions, {"strict", "all_"}),
        ("resume", options.ResumeOptions, set()),
        ("undo", options.UndoOptions, {"yes", "include_edited", "dry_run", "rows"}),
        ("export", options.CommonOptions, {"overwrite"}),
        ("compare", options.CompareOptions, {"account", "exit_code"}),
    ],
)
def test_the_options_are_those_of_the_command(command: str, kind: Any, own: set[str]) -> None:
    parameters = cli.commands[command].params
    of_command = {str(each.name) for each in parameters if each.param_type_name == "option"} - OF_THE_CALL - own
    names = {name.rstrip("_") for name in kind.__optional_keys__} - SETTINGS_ONLY
    assert names == of_command


def test_an_unknown_option_is_refused_before_anything_is_read() -> None:
    with pytest.raises(bl.UsageError, match="rat is not an option of run; did you mean rate"):
        bl.run("missing.csv", rat=5)  # type: ignore[call-arg]
    with pytest.raises(bl.UsageError, match="output is not an option of run; use store"):
        bl.run("missing.csv", output="x")  # type: ignore[call-arg]
    with pytest.raises(bl.UsageError, match="it has config"):
        bl.check("missing.csv", zzz=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", "fast", "rate is 'fast'; a rate is a number above 0"),
        ("rate", 0, "rate is 0; a rate is a number above 0"),
        ("set", pd.Series({"port": 1}), "a mapping, or texts of the form field=value, is allowed"),
        ("map", pd.DataFrame(), "a mapping, or texts of the form column=field, is allowed"),
        ("sheet", 0, "sheet is 0; a text is allowed"),
        ("progress", a_coroutine, "progress is a coroutine function"),
        ("progress", "yes", "progress is 'yes'; True, False or a callable is allowed"),
        ("store", "", "store is ''; a path is allowed"),
        ("results", "\0", "a path is allowed"),
        ("concurrency", 0, "concurrency is 0; a whole number from 1 to 1000"),
        ("on_existing", "maybe", "on_existing is 'maybe'"),
        ("max_errors", "x%", "max_errors is 'x%'"),
        ("set", ["x"], "set is 'x'"),
        ("set", {"prot": 1}, '"prot" is not a field'),
        ("set", {"name": object()}, "set: name: The value is of the type object"),
        ("map", {"a": "nothing"}, "there is no field"),
        ("results", "x.pdf", r"x\.pdf"),
        ("results", ["a.csv", "b.doc"], r"b\.doc"),
        ("encoding", "utf-8", "encoding is an option for files"),
        ("sheet", "hosts", "sheet is an option for files"),
        ("from_", "nagios", "from_ is an option for files"),
        ("config", "missing.toml", r"missing\.toml cannot be read"),
        ("config", 5, "config is of the type int; a path is allowed"),
        ("results", 5, "results is of the type int; a path is allowed"),
        ("results", ["a.csv", None], "results is of the type NoneType; a path is allowed"),
        ("store", None, "store is of the type NoneType; a path is allowed"),
    ],
)
def test_a_wrong_option_names_what_is_allowed(name: str, value: object, message: str) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises((bl.UsageError, bl.InputError), match=message):
        bl.run(hosts("a"), sandbox=True, **arguments)
    assert not Path("output", "sandbox.sqlite3").exists()  # nothing was sent


def test_values_of_set_are_python_values() -> None:
    frame = hosts("a").drop(columns=["port", "billing_plancode"])
    given = {"port": 993.0, "billing_plancode": "UBM - A/A", "enabled": True, "locations": [10, 20]}
    result = bl.check(frame, set=given)
    assert result.ok
    assert bl.check(frame.rename(columns={"hostname": "Server X"}), set=given, map={"Server X": "hostname"}).ok


def test_settings_come_from_file_and_environment_as_on_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = hosts("a").drop(columns="billing_plancode")
    Path("bulkload.toml").write_text('[defaults]\nbilling_plancode = "UBM - A/A"\n')
    assert bl.check(frame).ok
    monkeypatch.setenv("BULKLOAD_SET", "interval=many")
    with pytest.raises(bl.UsageError, match="interval is many"):
        bl.check(frame)


def test_the_account_of_the_environment(server: Sandbox, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame) -> None:
    with pytest.raises(bl.UsageError, match="There is no account to log in to"):
        bl.run(frame)
    monkeypatch.setenv("ALERTSITE_BASE_URL", server.base_url)
    monkeypatch.setenv("ALERTSITE_USERNAME", server.options.user)
    monkeypatch.setenv("ALERTSITE_PASSWORD", server.options.password)
    assert bl.run(frame).counts == {"created": 3}


def test_an_account_that_is_given_takes_only_the_address_from_the_environment(
    server: Sandbox, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALERTSITE_BASE_URL", server.base_url)
    monkeypatch.setenv("ALERTSITE_USERNAME", "other@example.com")
    monkeypatch.setenv("ALERTSITE_PASSWORD", "other")
    monkeypatch.setenv("ALERTSITE_TOKEN", "not a token")
    account = bl.Account(username=server.options.user, password=server.options.password)
    assert bl.run(frame, account=account).counts == {"created": 3}
    secret = tmp_path / "secret"
    secret.write_text(server.options.password + "\n")
    by_file = bl.Account(username=server.options.user, password_file=secret)
    assert bl.run(frame, account=by_file).counts == {"exists": 3}
    with pytest.raises(bl.UsageError, match="The account needs a user name, and a password"):
        bl.run(frame, account=bl.Account(username=server.options.user))


def test_an_account_shows_no_secret() -> None:
    account = bl.Account(username="a", password="S3CRET", token="T0KEN")
    for text in (repr(account), str(account)):
        assert "S3CRET" not in text
        assert "T0KEN" not in text
    assert pickle.loads(pickle.dumps(account)) == account
    for wrong in ({"password": 5}, {"token": "no token"}, {"base_url": "https://a:S3CRET@x"}):
        broken: Any = {"username": "a", "password": "S3CRET"} | wrong
        with pytest.raises(bl.UsageError) as error:
            bl.run(hosts("a"), account=bl.Account(**broken))
        assert "S3CRET" not in str(error.value)
        assert "5" not in str(error.value)
    for name in ("username", "password", "password_file", "token", "base_url"):
        empty: Any = {name: pd.NA}
        with pytest.raises(bl.UsageError, match=f"The account's {name} is of the type NAType; a text is allowed"):
            bl.run(hosts("a"), account=bl.Account(**empty))
    with pytest.raises(bl.UsageError, match="account is of the type dict"):
        bl.run(hosts("a"), account={"username": "a"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"type": "imap"}, "of the type dict"),
        (5, "of the type int"),
        (None, "of the type NoneType"),
        ([["imap", "a"]], "Row 0 of the data is of the type list"),
        ([{"type": "imap"}, "x"], "Row 1 of the data is of the type str"),
        (pd.Series(["imap"]), "of the type Series; .*; give a frame of all columns"),
        (io.StringIO("type,name"), "of the type StringIO; .*; give the path of the file"),
        (bl.check([{"type": "imap", "name": "a", "hostname": "h", "billing_plancode": "X"}]), "; give its frame"),
    ],
)
def test_other_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(bl.UsageError, match=message):
        bl.check(data)


def test_rows_without_columns() -> None:
    data: Any
    for data in ([{}], pd.DataFrame(index=[1, 2])):
        with pytest.raises(bl.InputError, match="has no columns"):
            bl.check(data)


def test_no_rows_are_nothing_to_do(account: bl.Account) -> None:
    data: Any
    for data in ([], iter(()), pd.DataFrame()):
        result = bl.run(data, account=account, raise_for_rows=True)
        assert (result.counts, result.ok, len(result.frame), len(result.failed)) == ({}, True, 0, 0)


@pytest.mark.parametrize("label", ["", " ", 5, "x" * 201])
def test_a_label_is_a_text(label: Any) -> None:
    with pytest.raises(bl.UsageError, match="a text of 1 to 200 characters"):
        bl.run(hosts("a"), sandbox=True, label=label)


def test_a_run_is_named_by_its_id_or_its_result(account: bl.Account) -> None:
    result = bl.run(hosts("a", "b"), account=account, first=1)
    assert bl.resume(result, account=account).counts == {"created": 2}
    assert bl.undo(result, account=account).removals == bl.undo(result.run_id, account=account).removals
    wrong: Any
    for wrong in (None, 5):
        with pytest.raises(bl.UsageError, match="the ID of a run, or its Result, is allowed"):
            bl.undo(wrong, account=account)
    with pytest.raises(bl.UsageError, match="There is no run x"):
        bl.undo("x", account=account)


def test_messages_name_options_as_keywords() -> None:
    with pytest.raises(bl.InputError, match=r"is unknown.*; map it with map, or skip it with ignore_unknown"):
        bl.check(hosts("a", colour="red"))
    result = bl.run(hosts("a", "b", port=[0, 993]), sandbox=True, strict=True)
    assert str(result.stopped) == "1 row has errors, so strict sends nothing."


def test_numbers_of_numpy_are_numbers(account: bl.Account) -> None:
    options: Any = {
        "first": np.int64(1),
        "rate": np.float64(500),
        "concurrency": np.int8(2),
        "request_timeout": np.float32(5),
        "max_errors": np.int16(3),
        "wait": np.True_,
    }
    assert bl.run(hosts("a", "b"), account=account, **options).counts == {"created": 1, "not_attempted": 1}


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(bl.InputError, match="file not found"):
        bl.check("missing.csv")
    with pytest.raises(bl.InputError, match="is a folder"):
        bl.check(folder)
