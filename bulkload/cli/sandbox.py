"""`sandbox`: a local stand-in for the AlertSite API, with faults on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from bulkload.errors import ExitCode, UsageError
from bulkload.sandbox import KINDS, Faults, Rule, SandboxError, SandboxOptions
from bulkload.sandbox.account_options import Location, Role
from bulkload.sandbox.alterations import DISPLAY_RULES, written

WINDOW = 1.0  # seconds of --rate-limit, if it names none


def _help() -> str:
    faults = [f"  {name:<17} {kind.about}" for name, kind in KINDS.items()]
    rules = [f"  {written(name):<17} {rule.about}" for name, rule in DISPLAY_RULES.items()]
    return "\b\nFaults:\n" + "\n".join(faults) + "\n\n\b\nDisplay rules:\n" + "\n".join(rules)


@click.command(epilog=_help())
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0 picks a free one.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="Keep the account in this file.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Write each request to this JSONL file.")
@click.option("--role", type=click.Choice(get_args(Role)), default="admin", show_default=True)
@click.option("--token-seconds", type=float, default=3600.0, show_default=True, help="Lifetime of a token.")
@click.option(
    "--plan",
    "plans",
    multiple=True,
    metavar="CODE[=N]",
    help="Add a plan with room for N monitors. Repeatable.",
)
@click.option(
    "--plan-full",
    type=click.Choice(["400", "403"]),
    default="400",
    show_default=True,
    help="HTTP status if a plan is full.",
)
@click.option(
    "--location",
    "locations",
    multiple=True,
    type=int,
    metavar="ID",
    help="Add a location. Repeatable.",
)
@click.option("--page-size", type=click.IntRange(1), help="Monitors per page of a list.")
@click.option("--strict-fields", is_flag=True, help="Reject unknown fields.")
@click.option("--unique-names", is_flag=True, help="Reject a name that exists already.")
@click.option(
    "--late-on-stop",
    type=click.Choice(["commit", "drop"]),
    default="commit",
    show_default=True,
    help="What happens to delayed requests when the sandbox stops.",
)
@click.option(
    "--rate-limit", metavar="N[/S]", help="Allow N requests in any S seconds (default 1); respond 429 to others."
)
@click.option(
    "--retry-after",
    type=click.Choice(["seconds", "date", "none"]),
    default="seconds",
    show_default=True,
    help="Form of the Retry-After header.",
)
@click.option("--visible-after", type=float, default=0.0, metavar="S", help="List new monitors only after S seconds.")
@click.option("--fault", "rules", multiple=True, metavar="[OP:]NAME[=P|@N,N|/N]", help="See below. Repeatable.")
@click.option(
    "--show", "shows", multiple=True, metavar="RULE", help="Display monitors by this rule, see below. Repeatable."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of the faults.")
@click.option("--faults", "file", type=click.Path(path_type=Path), help="Fault schedule, as a JSON file.")
def sandbox(**given: Any) -> int:
    """Run a local stand-in for the AlertSite API until Ctrl-C. Log in as sandbox@example.com / sandbox.

    \b
    Examples:
      bulkload sandbox --state account.sqlite3
      bulkload sandbox --rate-limit 20 --fault error-after=0.2 --fault create:reset-before=0.1 --seed 7
      bulkload sandbox --show blanks --show cut=50
    """
    from bulkload.sandbox.server import serve

    try:
        faults = _faults(given)
        plans = dict(map(_plan, given["plans"]))
        places = tuple(Location(id=number, name=f"Location {number}", region=1) for number in given["locations"])
        options = SandboxOptions(
            role=given["role"],
            token_seconds=given["token_seconds"],
            plans=tuple(plans) or None,
            capacity={code: number for code, number in plans.items() if number is not None},
            plan_full_status=403 if given["plan_full"] == "403" else 400,
            locations=places or None,
            defaults={"locations": [{"id": places[0].id}]} if places else {},
            page_size=given["page_size"],
            strict_fields=given["strict_fields"],
            unique_names=given["unique_names"],
            late_on_stop=given["late_on_stop"],
            log_file=given["log"],
        )

        def on_ready(base_url: str) -> None:
            click.echo(f"export ALERTSITE_BASE_URL={base_url}")
            click.echo(f"export ALERTSITE_USERNAME={options.user} ALERTSITE_PASSWORD={options.password}")

        serve(options, faults, given["state"], given["host"], given["port"], on_ready)
    except (SandboxError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    return ExitCode.DONE


def _faults(given: dict[str, Any]) -> Faults:
    if given["file"] is not None:
        return Faults.from_json(given["file"].read_text("utf-8"))
    limit, _, window = (given["rate_limit"] or "").partition("/")
    return Faults(
        seed=given["seed"],
        rules=tuple(Rule.parse(text) for text in given["rules"]),
        rate_limit=int(limit or 0),
        rate_window=float(window or WINDOW),
        retry_after=given["retry_after"],
        visible_after=given["visible_after"],
        shows=given["shows"],
    )


def _plan(text: str) -> tuple[str, int | None]:
    code, sign, number = text.rpartition("=")
    if not sign:
        return text, None
    if not code or not number.isdecimal():
        raise ValueError(f"--plan {text} is not of the form CODE or CODE=N.")
    return code, int(number)
