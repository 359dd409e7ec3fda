"""`doctor`: find out how the account lists, displays and limits monitors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from bulkload.cli.options import OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import confirm, print_line, print_message
from bulkload.cli.questions import load_login
from bulkload.errors import UsageError

if TYPE_CHECKING:
    from bulkload.operations.doctor.examination import ExaminationResult, Proposal
    from bulkload.operations.doctor.finding import Finding
    from bulkload.settings import Account, Options

TOPIC_WIDTH = 12  # columns
HIDDEN = "[hidden]"


@click.command()
@command_option("--try", "try_", is_flag=True, help="Also create, read, update and delete one disabled monitor.")
@command_option("--yes", "-y", is_flag=True, help="Create it without asking.")
@click.option("--set", "set", multiple=True, metavar="billing_plancode=CODE", help="Plan code of that monitor.")
@with_options("rate", "request-timeout", "output", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def doctor(config: Path | None, /, try_: bool, yes: bool, **arguments: Any) -> int:
    """Find out how the account lists, displays and limits monitors.

    AlertSite does not document this. Each line has a topic, what the account does, and what that means for bulkload; a
    line that begins with ! needs attention. Sends only a login and GET requests, unless --try is given.

    With --try, one disabled monitor is created, read, updated and deleted. How the account displays it is stored in the
    output folder, for later runs. Its plan code is the most common one of the account, or that of --set. If the trial
    is interrupted, the next doctor deletes the monitor.

    --json prints a report without user names, hosts and monitor names. The exit code is 1 if a line needs attention.

    \b
    Examples:
      bulkload doctor
      bulkload doctor --try
      bulkload doctor --try --yes --json --set billing_plancode="UBM - A/A"
    """
    from bulkload.operations.doctor.examination import check_defaults, examine

    check_defaults(arguments["set"])
    account, options = load_login(config, arguments)
    is_silent = options.json_ or options.quiet
    if try_ and is_silent and not yes:
        raise UsageError("doctor --try asks before it creates a monitor; with --json or --quiet, add --yes.")

    def on_finding(finding: Finding) -> None:
        if not options.json_ and (finding.is_problem or not options.quiet):
            print_line(_line(finding))

    def agree(proposal: Proposal) -> bool:
        if not is_silent:
            for line in _proposal_lines(proposal):
                print_line(line)
        if yes:
            return True
        if (agreed := confirm("Create, update and delete this monitor?")) is None:
            raise UsageError("Nothing was created, because the question was not answered; add --yes, or omit --try.")
        if not agreed:
            print_line("Nothing was created.")
        return agreed

    result = examine(account, options, on_finding, agree if try_ else None)
    if options.json_:
        click.echo(json.dumps(_as_json(result, account, options), ensure_ascii=False))
    elif not options.quiet and result.stopped is None:
        click.echo(_ending(result))
    if result.stopped is not None:
        print_message(str(result.stopped))
    return result.exit_code


def _line(finding: Finding) -> str:
    from bulkload.files.printable import one_line

    mark = "!" if finding.is_problem else " "
    text = one_line(f"{finding.behaviour} → {finding.consequence}")
    return f"{mark} {finding.topic:<{TOPIC_WIDTH}}  {text}"


def _proposal_lines(proposal: Proposal) -> Iterator[str]:
    plan = f"{proposal.plan}{', the most common one of the account' if proposal.is_most_common_plan else ''}"
    yield ""
    yield "The trial creates this disabled monitor, and deletes it within minutes:"
    for label, text in (
        ("name", proposal.name),
        ("hostname", f"{proposal.hostname}, port {proposal.port}, type {proposal.type.removeprefix('email-')}"),
        ("plan code", plan),
    ):
        yield f"  {label:<{TOPIC_WIDTH}}  {text}"


def _ending(result: ExaminationResult) -> str:
    problems = sum(finding.is_problem for finding in result.findings)
    if not problems:
        return "\nNothing needs attention."
    return f"\n{'1 line marked ! needs' if problems == 1 else f'{problems} lines marked ! need'} attention."


def _as_json(result: ExaminationResult, account: Account, options: Options) -> dict[str, object]:
    """The object that `--json` prints, without private data."""

    def public(text: str) -> str:
        host = urlsplit(account.base_url).hostname or ""
        for private in (account.username, account.base_url, host):
            if private:
                text = re.sub(re.escape(private), HIDDEN, text, flags=re.IGNORECASE)
        return text

    findings = [
        {
            "topic": finding.topic,
            "account": public(finding.behaviour if finding.public_behaviour is None else finding.public_behaviour),
            "follows": public(finding.consequence),
            "problem": finding.is_problem,
        }
        for finding in result.findings
    ]
    stopped = result.stopped
    return {
        "findings": findings,
        "learned": [public(sentence) for sentence in result.learned],
        "tried": result.tried,
        "stopped": None if stopped is None else type(stopped).__doc__,  # its message may quote the account
        "requests": {kind: result.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")},
        "seconds": round(result.seconds, 3),
        "exit_code": int(result.exit_code),
    }
