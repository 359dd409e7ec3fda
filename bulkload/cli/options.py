"""The options, as declarations; a command names those that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

VARIABLES: set[str] = set()  # of the environment, for options that are no settings


def own_option(*names: str, **given: Any) -> Callable[[F], F]:
    """Declare an option of one command that is no setting; an environment variable sets it, too."""
    variable = f"BULKLOAD_{names[0].lstrip('-').replace('-', '_').upper()}"
    VARIABLES.add(variable)
    return click.option(*names, envvar=variable, **given)


def _one_of(*values: str) -> dict[str, Any]:
    """Let the shell complete a value; the settings check that it is one of these."""
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
        "--map", "map", multiple=True, metavar="COLUMN=FIELD", help="Map a column to a field. Repeatable."
    ),
    "sheet": click.option(
        "--sheet", metavar="NAME", help="The worksheet to read (default: the first with the required columns)."
    ),
    "ignore-unknown": _flag("ignore-unknown", "Keep unknown columns in the results without sending them."),
    "from": click.option(
        "--from",
        "from",
        metavar="TOOL",
        help="The tool that the configuration is from (default: detected from the content).",
    ),
    "skip-private": _flag("skip-private", "Skip hosts of a tool's configuration that AlertSite cannot reach."),
    "rate": click.option("--rate", metavar="N[/s|/min]", help="Maximum request rate (default 5/s)."),
    "concurrency": click.option(
        "--concurrency", metavar="N", help="Maximum number of concurrent requests (default 10)."
    ),
    "on-existing": click.option(
        "--on-existing",
        **_one_of("skip", "update", "fail"),
        help="What to do with monitors that exist already (default skip).",
    ),
    "trust-list": _flag("trust-list", "Continue even if monitors created earlier are missing from the account's list."),
    "create-lookalikes": _flag(
        "create-lookalikes", "Create rows even if an existing monitor may be theirs, displayed differently."
    ),
    "wait": _flag("wait", "Wait until every row in doubt is settled."),
    "verify": _flag("verify", "Compare what the account stores with the rows after the run."),
    "first": click.option("--first", metavar="N", help="Send only the first N rows; the next run sends the rest."),
    "strict": _flag("strict", "Send nothing if any row has errors."),
    "max-errors": click.option("--max-errors", metavar="N|N%", help="Stop when more rows than this fail."),
    "request-timeout": click.option("--request-timeout", metavar="SECONDS", help="Timeout of a request (default 30)."),
    "output": click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder for the run store and results (default output).",
    ),
    "results": click.option(
        "--results",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Results file; .xlsx, .csv, .jsonl or .html. Repeatable.",
    ),
    "sandbox": _flag("sandbox", "Use a local sandbox instead of an AlertSite account."),
    "json": click.option("--json", "json", is_flag=True, default=None, help="Print one JSON object on stdout."),
    "quiet": _flag("quiet", "Print only errors."),
    "log-format": click.option("--log-format", **_one_of("text", "json"), help="Log format on stderr (default text)."),
    "log-level": click.option(
        "--log-level", **_one_of("debug", "info", "warning", "error"), help="Log level (default warning)."
    ),
    "watch": _flag("watch", "Keep running, and run files as they arrive."),
    "keep": click.option(
        "--keep",
        metavar="DAYS",
        help="How long to keep finished files, results and rows in the store (default 90; or forever).",
    ),
    "retry-for": click.option(
        "--retry-for", metavar="DAYS", help="How long later calls retry unfinished rows (default 3)."
    ),
    "prune": _flag("prune", "Delete monitors that this folder's runs created and that are no longer in the file."),
    "prune-limit": click.option(
        "--prune-limit",
        metavar="N|N%",
        help="Delete nothing if more monitors than this would be deleted at once (default 10%).",
    ),
    "metrics": click.option(
        "--metrics",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write metrics for the textfile collector of Prometheus node_exporter (….prom).",
    ),
    "ping": click.option("--ping", metavar="URL", help="Ping a Healthchecks-style URL on start, success and failure."),
    "webhook": click.option("--webhook", metavar="URL", help="Post the summary as JSON to this URL."),
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
