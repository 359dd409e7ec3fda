"""`doctor`: find out what an account does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from bulkload.cli.options import SHOWING, own_option, with_options
from bulkload.cli.output import ask, complain, settings
from bulkload.errors import UsageError

if TYPE_CHECKING:
    from bulkload.operations.doctor.examination import Examined, Proposal
    from bulkload.operations.doctor.findings import Finding
    from bulkload.settings import Account, Options

TOPIC_WIDTH = 12  # columns
HIDDEN = "[hidden]"


@click.command()
@own_option("--try", "try_", is_flag=True, help="Also create one monitor, look at it, change it and delete it.")
@own_option("--yes", "-y", is_flag=True, help="Do so without asking.")
@click.option("--set", "set", multiple=True, metavar="billing_plancode=CODE", help="The plan of that monitor.")
@with_options("rate", "request-timeout", "output", "sandbox", *SHOWING)
@click.pass_obj
def doctor(config: Path | None, /, try_: bool, yes: bool, **given: Any) -> int:
    """Find out how the account lists, displays and limits monitors.

    AlertSite documents none of this. Each line has a topic, what the account does, and what follows for bulkload; lines
    that need attention begin with !. Without --try, only a login and GETs are sent. With --try, one disabled monitor is
    created, read, updated and deleted; what it shows is stored in the output folder and used by later runs. If that is
    interrupted, the next doctor deletes the monitor. The plan code is that of most monitors, or --set
    billing_plancode=CODE.

    --json prints a report without names of users, hosts and monitors. The exit code is 1 if something keeps bulkload
    from being safe in this account.

    \b
    Examples:
      bulkload doctor
      bulkload doctor --try
      bulkload doctor --try --yes --json --set billing_plancode="UBM - A/A"
    """
    from bulkload.operations.doctor.examination import check_set, examine

    check_set(given["set"])
    account, options = settings(config, given)
    silent = options.json_ or options.quiet
    if try_ and silent and not yes:
        raise UsageError("doctor --try asks before it creates; with --json or --quiet, add --yes.")

    def on_finding(finding: Finding) -> None:
        if not options.json_ and (finding.problem or not options.quiet):
            click.echo(_line(finding))

    def agree(proposal: Proposal) -> bool:
        if not silent:
            for line in _proposed(proposal):
                click.echo(line)
        if yes:
            return True
        if (agreed := ask("Create this monitor, and delete it again?")) is None:
            raise UsageError("Nothing was created, because there was no answer; add --yes, or omit --try.")
        if not agreed:
            click.echo("Nothing was created.")
        return agreed

    examined = examine(account, options, on_finding, agree if try_ else None)
    if options.json_:
        click.echo(json.dumps(_as_json(examined, account, options), ensure_ascii=False))
    elif not options.quiet and examined.stopped is None:
        click.echo(_ending(examined))
    if examined.stopped is not None:
        complain(str(examined.stopped))
    return examined.exit_code


def _line(finding: Finding) -> str:
    from bulkload.files.printable import one_line

    mark = "!" if finding.problem else " "
    said = one_line(f"{finding.account} → {finding.follows}")
    return f"{mark} {finding.topic:<{TOPIC_WIDTH}}  {said}"


def _proposed(proposal: Proposal) -> Iterator[str]:
    plan = f"{proposal.plan}{', the plan of most monitors here' if proposal.plan_is_guessed else ''}"
    yield ""
    yield "To be created, disabled, and deleted again within minutes:"
    for label, text in (
        ("name", proposal.name),
        ("host", f"{proposal.host}, port {proposal.port}, type {proposal.type.removeprefix('email-')}"),
        ("plan code", plan),
    ):
        yield f"  {label:<{TOPIC_WIDTH}}  {text}"


def _ending(examined: Examined) -> str:
    problems = sum(finding.problem for finding in examined.findings)
    if not problems:
        return "\nNothing needs attention."
    return f"\n{'1 line marked ! needs' if problems == 1 else f'{problems} lines marked ! need'} attention."


def _as_json(examined: Examined, account: Account, options: Options) -> dict[str, object]:
    """The object of `--json`, which holds nothing private."""

    def public(text: str) -> str:
        host = urlsplit(account.base_url).hostname or ""
        for private in (account.username, account.base_url, host):
            if private:
                text = re.sub(re.escape(private), HIDDEN, text, flags=re.IGNORECASE)
        return text

    findings = [
        {
            "topic": finding.topic,
            "account": public(finding.account if finding.public is None else finding.public),
            "follows": public(finding.follows),
            "problem": finding.problem,
        }
        for finding in examined.findings
    ]
    stopped = examined.stopped
    return {
        "findings": findings,
        "learned": [public(sentence) for sentence in examined.learned],
        "tried": examined.tried,
        "stopped": None if stopped is None else type(stopped).__doc__,  # its own words may quote the account
        "requests": {kind: examined.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")},
        "seconds": round(examined.seconds, 3),
        "exit_code": int(examined.exit_code),
    }
