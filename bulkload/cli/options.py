"""The options, as declarations; each command lists those that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

COMMAND_OPTIONS = (  # of all commands, the options that are not settings; most commands are not imported
    *("--account", "--config", "--dry-run", "--encoding", "--exit-code", "--from", "--host", "--include-edited"),
    *("--all", "--failed", "--json", "--open", "--overwrite", "--port", "--rows", "--since", "--skip-private"),
    *("--tcp-as", "--try", "--yes"),
)


def _variable(option: str) -> str:
    return f"BULKLOAD_{option.lstrip('-').replace('-', '_').upper()}"


OPTION_VARIABLES = frozenset(map(_variable, COMMAND_OPTIONS))


def command_option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option that is not a setting, one of `COMMAND_OPTIONS`; an environment variable sets it too."""
    return click.option(*names, envvar=_variable(names[0]), **attributes)


def _one_of(*values: str) -> dict[str, Any]:
    """Complete these values in the shell; the settings check that the value is one of them."""
    return {
        "metavar": "|".join(values),
        "shell_complete": lambda context, option, typed: [value for value in values if value.startswith(typed)],
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
        "--set", "set", multiple=True, metavar="FIELD=VALUE", help="Fill the empty cells of a field. Repeatable."
    ),
    "map": click.option(
        "--map", "map", multiple=True, metavar="COLUMN=FIELD", help="Map a column to a field. Repeatable."
    ),
    "sheet": click.option(
        "--sheet", metavar="NAME", help="Worksheet to read (default: the first that has the required columns)."
    ),
    "skip-hidden": _flag("skip-hidden", "Leave out the hidden rows and columns of a worksheet."),
    "encoding": click.option(
        "--encoding",
        metavar="NAME",
        help="Encoding of text files that are not Unicode, such as Windows-1252, MacRoman or GBK.",
    ),
    "header-row": click.option(
        "--header-row",
        metavar="N",
        help="Row of the header, as the spreadsheet program numbers it (default: detected).",
    ),
    "ignore-unknown": _flag("ignore-unknown", "Keep unknown columns in the results, but do not send them."),
    "from": click.option(
        "--from",
        "from",
        metavar="TOOL",
        help="Tool that the configuration comes from (default: detected from the content).",
    ),
    "skip-private": _flag("skip-private", "Skip hosts of another tool's configuration that AlertSite cannot reach."),
    "rate": click.option(
        "--rate", metavar="N[/s|/min]", help="Maximum number of requests per second or minute (default 5/s)."
    ),
    "concurrency": click.option(
        "--concurrency", metavar="N", help="Maximum number of concurrent requests (default 10)."
    ),
    "on-existing": click.option(
        "--on-existing",
        **_one_of("skip", "update", "fail"),
        help="Skip or update rows whose monitor already exists, or fail if there are any (default skip).",
    ),
    "trust-list": _flag(
        "trust-list", "Continue even if monitors that bulkload created are missing from the account's list."
    ),
    "create-lookalikes": _flag(
        "create-lookalikes", "Create a row's monitor even if an existing one may be the same, displayed differently."
    ),
    "wait": _flag("wait", "Wait until it is known for every row whether its monitor was created."),
    "verify": _flag("verify", "After the run, compare the monitors in the account with the rows."),
    "first": click.option("--first", metavar="N", help="Send only the first N rows; the next run sends the rest."),
    "strict": _flag("strict", "Send nothing if any row has errors."),
    "max-errors": click.option(
        "--max-errors", metavar="N|N%", help="Stop when more than this number or share of rows have failed."
    ),
    "request-timeout": click.option(
        "--request-timeout", metavar="SECONDS", help="Timeout of each request (default 30)."
    ),
    "output": click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder for the run store and the results (default output).",
    ),
    "results": click.option(
        "--results",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write the results to FILE: .xlsx, .csv, .jsonl or .html. Repeatable.",
    ),
    "sandbox": _flag("sandbox", "Use a local sandbox instead of an AlertSite account."),
    "json": click.option("--json", "json", is_flag=True, default=None, help="Print one JSON object on stdout."),
    "quiet": _flag("quiet", "Print only errors."),
    "color": click.option(
        "--color",
        **_one_of("auto", "always", "never"),
        help="Colours on stdout (default auto: on a terminal, unless NO_COLOR is set).",
    ),
    "log-format": click.option(
        "--log-format", **_one_of("text", "json"), help="Format of the log on stderr (default text)."
    ),
    "log-level": click.option(
        "--log-level",
        **_one_of("debug", "info", "warning", "error"),
        help="Least severe level that is logged (default warning).",
    ),
    "watch": _flag("watch", "Keep running, and process files as they arrive; ends with 0 after a signal."),
    "keep": click.option(
        "--keep",
        metavar="DAYS",
        help="Keep old runs in the store, and the inbox its finished files, for this long, or forever (default 90).",
    ),
    "retry-for": click.option(
        "--retry-for", metavar="DAYS", help="Retry a file's unfinished rows for this many days (default 3)."
    ),
    "prune": _flag("prune", "Delete monitors that were created from a recurring file and are no longer in it."),
    "prune-limit": click.option(
        "--prune-limit",
        metavar="N|N%",
        help="Prune nothing if more than this number or share of monitors would be deleted (default 10%).",
    ),
    "metrics": click.option(
        "--metrics",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write metrics for the textfile collector of the Prometheus node_exporter to FILE (.prom).",
    ),
    "ping": click.option(
        "--ping", metavar="URL", help="Ping a Healthchecks-compatible URL on start, success and failure."
    ),
    "webhook": click.option(
        "--webhook", metavar="URL", help="Post the summary to this URL, unless there was nothing to do."
    ),
    "webhook-format": click.option(
        "--webhook-format",
        **_one_of("json", "slack", "teams"),
        help="Post JSON, a message for Slack's incoming webhooks, or a card for a Teams workflow (default json).",
    ),
    "allowed-host": click.option(
        "--allowed-host",
        multiple=True,
        metavar="NAME",
        help="Further host name under which browsers reach the page. Repeatable.",
    ),
    "user-header": click.option(
        "--user-header", metavar="NAME", help="Header in which a trusted proxy names the user, such as X-Remote-User."
    ),
    "trusted-proxy": click.option(
        "--trusted-proxy",
        multiple=True,
        metavar="ADDRESS",
        help="Address or network of a proxy whose headers are trusted. Repeatable. With --user-header, the default is"
        " this machine.",
    ),
}
INPUT_OPTIONS = (
    "set",
    "map",
    "sheet",
    "header-row",
    "skip-hidden",
    "encoding",
    "ignore-unknown",
    "from",
    "skip-private",
)
SENDING_OPTIONS = (
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
OUTPUT_OPTIONS = ("json", "quiet", "color", "log-format", "log-level")
INPUT_PATH = click.Path(path_type=Path, readable=False)  # the reader says what is wrong with a file
FILE = click.argument("file", type=INPUT_PATH)
