"""The options, as declarations; a command names those that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

VARIABLES: set[str] = set()  # of the environment, for options that are no settings


def own_option(*names: str, **given: Any) -> Callable[[F], F]:
    """Declare an option of one command that is no setting; the environment can give it too."""
    variable = f"BULKLOAD_{names[0].lstrip('-').replace('-', '_').upper()}"
    VARIABLES.add(variable)
    return click.option(*names, envvar=variable, **given)


def _one_of(*values: str) -> dict[str, Any]:
    """Have a value completed by the shell; whether it is one of these is for the settings to say."""
    return {
        "metavar": "|".join(values),
        "shell_complete": lambda *given: [value for value in values if value.startswith(given[-1])],
    }


def with_options(*names: str) -> Callable[[F], F]:
    """Add options by name, in this order."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = OPTIONS[name](function)
        return function

    return decorate


def _flag(name: str, help_text: str) -> Callable[[F], F]:
    return click.option(f"--{name}", name.replace("-", "_"), is_flag=True, default=None, help=help_text)


OPTIONS: dict[str, Callable[[Any], Any]] = {
    "set": click.option(
        "--set", "set", multiple=True, metavar="FIELD=VALUE", help="Fill empty cells of a field. Repeatable."
    ),
    "map": click.option(
        "--map", "map", multiple=True, metavar="COLUMN=FIELD", help="Say which field a column is. Repeatable."
    ),
    "sheet": click.option("--sheet", metavar="NAME", help="The sheet to read (default: the first that fits)."),
    "ignore-unknown": _flag("ignore-unknown", "Keep unknown columns in the report and send nothing of them."),
    "from": click.option(
        "--from", "from", metavar="TOOL", help="The tool whose configuration this is (default: its content says)."
    ),
    "skip-private": _flag("skip-private", "Of a tool's configuration, leave out hosts that AlertSite cannot reach."),
    "rate": click.option("--rate", metavar="N[/s|/min]", help="Requests at most (default 5/s)."),
    "concurrency": click.option("--concurrency", metavar="N", help="Requests in flight at most (default 10)."),
    "on-existing": click.option(
        "--on-existing",
        **_one_of("skip", "update", "fail"),
        help="What to do about monitors that are there (default skip).",
    ),
    "trust-list": _flag("trust-list", "Believe the account's list also if our monitors are missing in it."),
    "create-lookalikes": _flag(
        "create-lookalikes", "Create rows also where a monitor may be the row's, shown otherwise than it was sent."
    ),
    "wait": _flag("wait", "Stay until every row in doubt is settled."),
    "verify": _flag("verify", "Afterwards compare what the account stores with what was asked."),
    "first": click.option("--first", metavar="N", help="Send the first N rows only; the next run does the rest."),
    "strict": _flag("strict", "Send nothing if any row is not good."),
    "max-errors": click.option("--max-errors", metavar="N|N%", help="Stop when more rows than this go wrong."),
    "request-timeout": click.option(
        "--request-timeout", metavar="SECONDS", help="How long a request may take (default 30)."
    ),
    "output": click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder of everything a run writes (default output).",
    ),
    "results": click.option(
        "--results",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Results file; .xlsx, .csv, .jsonl or .html. Repeatable.",
    ),
    "sandbox": _flag("sandbox", "Use a local stand-in for AlertSite instead of an account."),
    "json": click.option("--json", "json", is_flag=True, default=None, help="Print one JSON object on stdout."),
    "quiet": _flag("quiet", "Print nothing but errors."),
    "log-format": click.option(
        "--log-format", **_one_of("text", "json"), help="How logs look on stderr (default text)."
    ),
    "log-level": click.option(
        "--log-level", **_one_of("debug", "info", "warning", "error"), help="How much is logged (default warning)."
    ),
    "watch": _flag("watch", "Keep going, and look whenever a file comes."),
    "keep": click.option(
        "--keep", metavar="DAYS", help="How long done files, results and the store's rows stay (default 90; forever)."
    ),
    "retry-for": click.option(
        "--retry-for", metavar="DAYS", help="How long later calls try unfinished rows again (default 3)."
    ),
    "prune": _flag("prune", "Delete monitors that this folder's runs created and that are gone from the sheet."),
    "prune-limit": click.option(
        "--prune-limit", metavar="N|N%", help="Delete nothing if more than this are gone at once (default 10%)."
    ),
    "metrics": click.option(
        "--metrics",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write numbers for Prometheus node_exporter's textfile collector (….prom).",
    ),
    "ping": click.option(
        "--ping", metavar="URL", help="Tell a Healthchecks-style address of start, success and failure."
    ),
    "webhook": click.option("--webhook", metavar="URL", help="Post the summary as JSON."),
}
COLUMNS = ("set", "map", "sheet", "ignore-unknown", "from", "skip-private")
ACTING = (
    "rate",
    "concurrency",
    "on-existing",
    "trust-list",
    "create-lookalikes",
    "wait",
    "verify",
    "first",
    "max-errors",
    "request-timeout",
)
SHOWING = ("json", "quiet", "log-format", "log-level")
FILE = click.argument("file", type=click.Path(path_type=Path))
