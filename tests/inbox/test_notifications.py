"""Pings, webhooks and metrics report every visit correctly, and never make a run fail."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import bulkload.inbox.notify
from bulkload.inbox.notify import redacted
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine, imap
from tests.support.listener import Listener

TOKEN = "2f1c-secret-uuid"


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    return cli


def metrics(path: Path) -> dict[str, float]:
    """The samples of a metrics file, by name and label values, separated by colons."""
    return {
        ":".join(
            [
                sample.name.removeprefix("bulkload_inbox_"),
                *(value for label, value in sample.labels.items() if label != "folder"),
            ]
        ): sample.value
        for family in text_string_to_metric_families(path.read_text("utf-8"))
        for sample in family.samples
    }


def test_pings_report_start_and_success_with_the_summary(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    cli.write_csv("box/mail.csv", [imap("a")])
    assert cli("inbox", "box", "--ping", f"{listener.address}/{TOKEN}").exit_code == 0
    start, end = listener.take_requests()
    assert (start.path, start.body) == (f"/{TOKEN}/start", "")
    assert (end.path, end.body) == (f"/{TOKEN}", "mail.csv: 1 created.")


def test_a_visit_without_files_is_a_success(cli: CommandLine, listener: Listener) -> None:
    """Or the health check would report a failure after every night without files."""
    result = cli("inbox", "box", "--ping", f"{listener.address}/{TOKEN}?rid=1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [request.path for request in listener.take_requests()] == [f"/{TOKEN}/start?rid=1", f"/{TOKEN}?rid=1"]


@pytest.mark.parametrize("trouble", ["row", "login", "folder", "credentials"])
def test_a_ping_reports_every_failure(cli: CommandLine, sandbox: Sandbox, listener: Listener, trouble: str) -> None:
    cli.write_csv("box/mail.csv", [imap("a", port="0" if trouble == "row" else "143")])
    if trouble == "login":
        cli.use_account(sandbox.base_url, password="wrong")
    if trouble == "credentials":
        cli.monkeypatch.delenv("ALERTSITE_PASSWORD")
    folder = "bix" if trouble == "folder" else "box"
    assert cli("inbox", folder, "--ping", f"{listener.address}/{TOKEN}/").exit_code == {"row": 1, "login": 3}.get(
        trouble, 2
    )
    start, end = listener.take_requests()
    assert [start.path, end.path] == [f"/{TOKEN}/start", f"/{TOKEN}/fail"]
    expected = {"row": "1 invalid", "login": "refuses", "folder": "no folder bix", "credentials": "ALERTSITE_PASSWORD"}
    assert expected[trouble] in end.body


def test_a_call_that_finds_the_store_locked_sends_no_ping(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    """The process that holds the lock reports; a start without an end would look like a crash."""
    from bulkload.store.runs import Store

    cli.write_csv("box/mail.csv", [imap("a")])
    with Store(cli.folder / "box") as store:
        store.lock()
        assert cli("inbox", "box", "--ping", listener.address, "--webhook", listener.address).exit_code == 5
    assert listener.take_requests() == []


def test_a_webhook_gets_the_summary_as_json_unless_nothing_was_done(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    options = ("inbox", "box", "--json", "--webhook", f"{listener.address}/hook/{TOKEN}")
    cli(*options)
    assert listener.take_requests() == []
    cli.write_csv("box/mail.csv", [imap("a"), imap("b", port="0")])
    result = cli(*options)
    (request,) = listener.take_requests()
    assert request.path == f"/hook/{TOKEN}"
    assert request.json == result.json
    assert request.json["counts"] == {"created": 1, "invalid": 1}


@pytest.mark.parametrize("trouble", ["status", "refused", "silent", "name"])
def test_a_failing_ping_neither_fails_nor_delays_the_run_and_its_address_is_not_logged(
    cli: CommandLine, sandbox: Sandbox, listener: Listener, trouble: str
) -> None:
    cli.monkeypatch.setattr(bulkload.inbox.notify, "TIMEOUT", 0.3)
    address = listener.address
    if trouble == "status":
        listener.status = 500
    elif trouble == "silent":
        listener.is_silent.set()
    elif trouble == "name":
        address = "http://unknown.invalid"
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
    cli.write_csv("box/mail.csv", [imap("a")])
    started = time.monotonic()
    result = cli(
        "inbox", "box", "--log-level", "debug", "--ping", f"{address}/{TOKEN}", "--webhook", f"{address}/hook?{TOKEN}"
    )
    assert time.monotonic() - started < 20
    assert result.exit_code == 0
    assert result.stderr.count("WARNING: the ping to ") == 2
    assert result.stderr.count("WARNING: the webhook to ") == 1
    assert TOKEN not in result.stderr + result.stdout


@pytest.mark.parametrize("option", ["--ping", "--webhook"])
@pytest.mark.parametrize(
    "value", [f"hc-ping.com/{TOKEN}", f"ftp://x/{TOKEN}", f"https:///{TOKEN}", f"https://a b/{TOKEN}"]
)
def test_an_invalid_address_is_rejected_and_not_shown(cli: CommandLine, option: str, value: str) -> None:
    result = cli("inbox", "box", option, value)
    assert result.exit_code == 2
    assert option in result.stderr
    assert "https://" in result.stderr
    assert TOKEN not in result.stderr


@pytest.mark.parametrize("option", ["--ping", "--webhook"])
@pytest.mark.parametrize("port", ["99999", "abc", "0", "-1", "8\u0660", "[::1"])
def test_an_invalid_port_is_rejected_at_the_start_and_the_address_is_not_shown(
    cli: CommandLine, listener: Listener, option: str, port: str
) -> None:
    cli.write_csv("box/mail.csv", [imap("a")])
    result = cli("inbox", "box", option, f"http://user:{TOKEN}@127.0.0.1:{port}/{TOKEN}")
    assert result.exit_code == 2
    assert "a port from 1 to 65535" in result.stderr
    assert TOKEN not in result.stderr
    assert (cli.folder / "box" / "mail.csv").exists()


def test_user_and_password_of_an_address_are_sent_and_not_logged(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    cli.write_csv("box/mail.csv", [imap("a")])
    address = listener.address.replace("://", f"://me:{TOKEN}@")
    listener.status = 500
    result = cli("inbox", "box", "--log-level", "debug", "--ping", f"{address}/x", "--webhook", f"{address}/y")
    assert (result.exit_code, len(listener.take_requests())) == (0, 3)
    assert result.stderr.count("was answered with HTTP 500") == 3
    assert TOKEN not in result.stderr + result.stdout


def test_a_redacted_address_has_no_path_user_or_parameters() -> None:
    assert redacted("https://user:word@hc-ping.com:8443/token/x?key=1#f") == "https://hc-ping.com:8443/…"


def test_addresses_can_come_from_the_environment(cli: CommandLine, listener: Listener) -> None:
    """This keeps them out of the process list."""
    cli.monkeypatch.setenv("BULKLOAD_PING", f"{listener.address}/{TOKEN}")
    assert cli("inbox", "box").exit_code == 0
    assert len(listener.take_requests()) == 2


def test_the_metrics_file_reports_the_call(cli: CommandLine, sandbox: Sandbox) -> None:
    path = cli.folder / "textfile" / "bulkload.prom"
    cli.write_csv("box/mail.csv", [imap("a"), imap("b")])
    before = time.time()
    assert cli("inbox", "box", "--metrics", path).exit_code == 0
    samples = metrics(path)
    assert samples["rows:created"] == 2
    assert samples["files:done"] == 1
    assert samples["requests:sent"] == len(sandbox.requests())
    assert (samples["exit_code"], samples["gone_rows"], samples["requests:throttled"]) == (0, 0, 0)
    assert before <= samples["last_success_timestamp_seconds"] == samples["last_run_timestamp_seconds"] <= time.time()
    assert 0 < samples["duration_seconds"] < 60
    assert [file.name for file in path.parent.iterdir()] == ["bulkload.prom"]


def test_the_time_of_the_last_success_survives_failures(cli: CommandLine, sandbox: Sandbox) -> None:
    path = cli.folder / "bulkload.prom"
    options = ("inbox", "box", "--metrics", path)
    sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",)),)))
    cli.write_csv("box/mail.csv", [imap("a")])
    assert cli(*options).exit_code == 3
    assert "last_success_timestamp_seconds" not in metrics(path)
    sandbox.set_faults(Faults())
    assert cli(*options).exit_code == 0
    success = metrics(path)["last_success_timestamp_seconds"]
    cli.write_csv("box/mail.csv", [imap("b", port="0")])
    assert cli(*options).exit_code == 1
    samples = metrics(path)
    assert (samples["last_success_timestamp_seconds"], samples["exit_code"]) == (success, 1)
    assert samples["last_run_timestamp_seconds"] > success
    path.write_text("not metrics {", "utf-8")
    assert cli(*options).exit_code == 0
    assert metrics(path)["last_success_timestamp_seconds"] > success


def test_throttled_requests_are_counted(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="throttle", on=("create",), at=(2,), seconds=0),)))
    cli.write_csv("box/mail.csv", [imap("a"), imap("b")])
    cli("inbox", "box", "--metrics", "bulkload.prom")
    samples = metrics(cli.folder / "bulkload.prom")
    assert samples["requests:throttled"] == sandbox.counts()["throttled"] == 1


def test_a_warning_is_logged_if_node_exporter_does_not_read_the_metrics_file(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    result = cli("inbox", "box", "--metrics", "m.txt")
    assert (result.exit_code, "m.txt does not end in .prom" in result.stderr) == (0, True)
    assert metrics(cli.folder / "m.txt")["exit_code"] == 0


def test_a_metrics_file_that_cannot_be_written_does_not_fail_the_run(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.write_csv("box/mail.csv", [imap("a")])
    (cli.folder / "file").write_text("in the way")
    result = cli("inbox", "box", "--metrics", "file/bulkload.prom")
    assert result.exit_code == 0
    assert "metrics file file/bulkload.prom cannot be written" in result.stderr


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "folder in a variable", "in the inbox"])
def test_a_metrics_file_that_can_never_be_written_is_refused_at_the_start(
    cli: CommandLine, sandbox: Sandbox, kind: str
) -> None:
    """Reading a pipe for the time of the last success would never end."""
    cli.write_csv("box/mail.csv", [imap("a")])
    path = cli.folder / "bulkload.prom"
    options = ["--metrics", str(path)]
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "in the inbox":
        options[1] = "box/bulkload.prom"
    else:
        path.mkdir()
    if kind == "folder in a variable":
        cli.monkeypatch.setenv("BULKLOAD_METRICS", str(path))
        options = []
    result = cli("inbox", "box", *options)
    assert (result.exit_code, sandbox.monitors()) == (2, [])
    assert "metrics" in result.stderr
    assert (cli.folder / "box" / "mail.csv").exists()


def test_an_unreadable_metrics_file_is_replaced(cli: CommandLine, sandbox: Sandbox) -> None:
    path = cli.folder / f"{246 * 'x'}.prom"
    path.write_bytes(b"\xff\xfe{")
    cli.write_csv("box/mail.csv", [imap("a", port="0")])
    assert cli("inbox", "box", "--metrics", path).exit_code == 1
    assert metrics(path)["exit_code"] == 1
