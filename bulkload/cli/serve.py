"""`serve`: the upload page, for a browser.

In: a host, a port and options. Out: the address of the page as the first line of stdout; the page, until a signal.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import command_option, with_options
from bulkload.cli.output import load_settings, print_note

DEFAULT_PORT = 8080
OTHER_MACHINES = (
    "Other machines can reach this page. It does not encrypt: put a proxy with TLS in front of it, and let only the"
    " proxy connect."
)


class _Port(click.IntRange):
    """A port. Kubernetes sets BULKLOAD_PORT=tcp://… for a service named bulkload, which is not meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and value.startswith("tcp://"):
            return DEFAULT_PORT
        return super().convert(value, param, ctx)


@click.command()
@command_option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on (default 127.0.0.1).")
@command_option(
    "--port", type=_Port(0, 65535), default=DEFAULT_PORT, metavar="N", help="Port (default 8080); 0 picks a free one."
)
@command_option("--open", "open_browser", is_flag=True, help="Open the page in your browser.")
@with_options(
    "allowed-host",
    "user-header",
    "trusted-proxy",
    "rate",
    "concurrency",
    "trust-list",
    "verify",
    "request-timeout",
    "output",
    "sandbox",
    "quiet",
    "log-format",
    "log-level",
)
@click.pass_obj
def serve(config: Path | None, /, host: str, port: int, open_browser: bool, **cli_options: Any) -> int:
    """Run the upload page until Ctrl-C: upload a spreadsheet, correct it, run it and watch, in a browser.

    Prints the address with the access key; only who has the key can use the page. Stopping the server loses nothing.

    To serve other machines, write a key to a file, set BULKLOAD_SERVE_KEY_FILE to its path, and put a proxy with TLS
    in front.

    \b
    Examples:
      bulkload serve --open
      bulkload serve --port 0 --output team
      BULKLOAD_SERVE_KEY_FILE=key.txt bulkload serve --host 0.0.0.0 --allowed-host monitors.example.com
    """
    account, options = load_settings(config, cli_options)
    from bulkload.settings import is_local_host, serve_key_file_warning
    from bulkload.web.server import serve as run_server

    if (warning := serve_key_file_warning(options)) is not None:
        logging.getLogger(__name__).warning("%s", warning)

    def on_ready(url: str) -> None:
        click.echo(url)  # flushes
        if not is_local_host(host):
            print_note(OTHER_MACHINES)
        elif not options.quiet:
            print_note("Press Ctrl-C to stop.")

    return run_server(account, options, host, port, on_ready=on_ready, opens_browser=open_browser)
