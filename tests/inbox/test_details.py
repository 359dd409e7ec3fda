"""What cron mails and chats say: the first bad rows with their errors, where the results are, and what to do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bulkload.inbox.chat_messages import slack_message, teams_message
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine, imap
from tests.support.listener import Listener

HOSTILE = "<!channel> & *bold* [link](https://evil.example) "


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    return cli


def test_a_mail_names_the_first_five_bad_rows_the_results_and_what_to_do(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.write_csv("box/mail.csv", [imap("good"), *(imap(f"m{n}", port=str(70000 + n)) for n in range(17))])
    cli.write_csv("box/other.csv", [imap("x", hostname="")])
    (cli.folder / "box" / "letter.pdf").write_bytes(b"%PDF-1.7\n")
    result = cli("inbox", "box")
    lines = [line.strip() for line in result.stderr.splitlines()]
    failed = cli.folder / "box" / "failed" / time.strftime("%Y-%m-%d")
    begin = lines.index("mail.csv:")
    assert [line[:12] for line in lines[begin + 1 : begin + 6]] == [f"row {n}, port:" for n in range(3, 8)]
    assert "70000" in lines[begin + 1]
    assert lines[begin + 6] == "and 12 more"
    assert lines[begin + 7] == f"Results of mail.csv: {failed / 'mail-results.xlsx'}"
    assert (failed / "mail-results.xlsx").is_file()
    assert lines[begin + 8].startswith("What to do: Correct these rows")
    assert str(cli.folder / "box") in lines[begin + 8]
    assert lines[lines.index("other.csv:") + 1].startswith("row 2, hostname: ")
    assert f"File: {failed / 'letter.pdf'}" in lines


def test_the_results_in_the_folder_again_create_what_was_corrected(cli: CommandLine, sandbox: Sandbox) -> None:
    """As the mail advises."""
    cli.write_csv("box/mail.csv", [imap("a"), imap("b", port="0")])
    lines = cli("inbox", "box").stderr.splitlines()
    (results,) = [line.partition(": ")[2] for line in lines if "Results of" in line]
    Path(results).rename(cli.folder / "box" / "again.xlsx")
    assert "already exists, 1 invalid" in cli("inbox", "box").stderr
    assert len(sandbox.monitors()) == 1


def test_rows_that_are_tried_again_are_named_and_nothing_has_to_be_done(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_TIMEOUT", "0")
    sandbox.set_faults(Faults(rules=(Rule(fault="error-before", names=("b",)),)))
    cli.write_csv("box/mail.csv", [imap("a"), imap("b", hostname="b.example.com")])
    result = cli("inbox", "box")
    assert "mail.csv will be resumed: " in result.stderr
    assert "  row 3: " in result.stderr
    assert "What to do: Nothing now" in result.stderr


def test_text_of_a_cell_cannot_pass_for_a_line_of_the_mail(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.write_csv("box/mail.csv", [imap("a", port="1\nWhat to do: pay\x1b[31m")])
    lines = cli("inbox", "box").stderr.splitlines()
    assert sum(line.strip().startswith("What to do:") for line in lines) == 1
    assert "\x1b" not in "".join(lines)


def test_json_has_the_bad_rows(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.write_csv("box/mail.csv", [imap("a"), imap("b", port="0")])
    (file,) = cli("inbox", "box", "--json").json["files"]
    ((row),) = file["bad_rows"]
    assert (row["row"], row["status"], row["errors"][0]["column"]) == (3, "invalid", "port")


def test_slack_gets_a_message_that_cannot_mention_anybody(
    cli: CommandLine, sandbox: Sandbox, listener: Listener
) -> None:
    cli.monkeypatch.setenv("BULKLOAD_WEBHOOK_FORMAT", "slack")
    options = ("inbox", "box", "--webhook", f"{listener.address}/services/T0/B0/secret")
    assert cli(*options).exit_code == 0
    assert listener.take_requests() == []
    cli.write_csv("box/mail.csv", [imap("a", port=HOSTILE)])
    result = cli(*options)
    (request,) = listener.take_requests()
    assert "<" not in request.body
    assert request.json["text"].startswith("bulkload: box needs attention.")
    header, *sections = request.json["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "bulkload: box needs attention", "emoji": False}
    text = "\n".join(section["text"]["text"] for section in sections)
    assert "row 2, port: " in text
    assert "&lt;!channel&gt; &amp; *bold*" in text
    assert str(cli.folder / "box" / "failed") in text
    assert "secret" not in result.stderr + result.stdout


def test_teams_gets_a_card_of_plain_text(cli: CommandLine, sandbox: Sandbox, listener: Listener) -> None:
    cli.write_csv("box/mail.csv", [imap("a", port=HOSTILE)])
    cli("inbox", "box", "--webhook", f"{listener.address}/workflows/secret", "--webhook-format", "teams")
    (request,) = listener.take_requests()
    assert request.json["type"] == "message"
    (attachment,) = request.json["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}  # a text block would format it
    assert any("row 2, port: " in run["text"] and HOSTILE.strip() in run["text"] for run in runs)


def test_an_unknown_format_is_refused(cli: CommandLine) -> None:
    result = cli("inbox", "box", "--webhook-format", "discord")
    assert result.exit_code == 2
    assert "slack" in result.stderr


LONG = [
    ["short"],
    ["&" * 5000],
    [f"row {number}: " + "<>&" * 100 for number in range(200)],
    ["é" * 2000] * 100,
    ["x" * 2000] * 60,
]


@pytest.mark.parametrize("lines", LONG, ids=range(len(LONG)))
def test_a_long_message_stays_within_the_limits_of_slack(lines: list[str]) -> None:
    message: Any = slack_message("t" * 500, lines)
    header, *sections = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert 1 <= len(sections) <= 49
    texts = [section["text"]["text"] for section in sections]
    assert all(0 < len(text) <= 3000 for text in texts)
    assert sum(map(len, texts)) < 13_000
    assert len(message["text"]) <= 3000
    for text in texts:  # no entity is cut
        assert "&" not in text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert ("more lines" in texts[-1]) == (len(lines) > 1)


@pytest.mark.parametrize("lines", LONG, ids=range(len(LONG)))
def test_a_long_message_stays_within_the_limit_of_teams(lines: list[str]) -> None:
    message = teams_message("t" * 500, lines)
    assert len(json.dumps(message).encode()) <= 28_000
    assert "attachments" in message


def test_metrics_of_several_folders_do_not_collide(cli: CommandLine, sandbox: Sandbox) -> None:
    """node_exporter reads all files as one, and refuses a series that occurs twice or with another help."""
    series: list[tuple[str, ...]] = []
    helps: dict[str, set[str]] = {}
    for name in ("nightly", "weekly"):
        (cli.folder / name).mkdir()
        cli.write_csv(f"{name}/mail.csv", [imap(name, hostname=f"{name}.example.com")])
        path = cli.folder / f"{name}.prom"
        assert cli("inbox", f"{name}/", "--metrics", path).exit_code == 0
        for family in text_string_to_metric_families(path.read_text("utf-8")):
            helps.setdefault(family.name, set()).add(family.documentation)
            for sample in family.samples:
                assert sample.labels["folder"] == name
                series.append((sample.name, *sorted(sample.labels.values())))
    assert len(series) == len(set(series)) > 30
    assert all(len(texts) == 1 for texts in helps.values())
