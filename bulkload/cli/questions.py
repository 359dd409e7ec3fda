"""What the program asks on a terminal: for the password, and before many monitors are created.

It asks only if stdin and stderr are terminals, and not with --json, --quiet or a log in JSON: a program that waits for
an answer would stop cron jobs and scripts.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.output import load_settings, print_note
from bulkload.errors import UsageError
from bulkload.files.printable import printable_line

if TYPE_CHECKING:
    from bulkload.settings import Account, Options


def load_login(config: Path | None, arguments: dict[str, Any]) -> tuple[Account, Options]:
    """Load the settings of a command that logs in; ask for the password if only that is missing."""
    from bulkload.settings import has_credentials

    account, options = load_settings(config, arguments)
    if options.sandbox or not account.username or has_credentials(account) or not _can_ask(options):
        return account, options
    prompt = printable_line(f"Password of {account.username} at {account.base_url}")
    password = click.prompt(prompt, hide_input=True, err=True)
    return account.logged_in_as(account.username, password), options


def before_many_creates(account: Account, options: Options) -> Callable[[int], Awaitable[bool]] | None:
    """The question before the first run that creates many monitors in an account; None if it is not to be asked."""
    if options.sandbox or _is_answered() or not _can_ask(options):
        return None

    async def agree(creates: int) -> bool:
        where = f"{account.username or 'the account of the token'} at {account.base_url}"
        print_note(f"This is the first run in this account (output folder {options.output}).")
        print_note(f"It creates {creates:,} monitors in {where}.")
        click.echo("Continue? [y/N]: ", nl=False, err=True)
        return (await _line()).strip().lower() in ("y", "yes")

    return agree


def _is_answered() -> bool:
    """True if the variable of --yes, which other commands have as an option, is set."""
    try:
        return click.BOOL.convert(os.environ.get("BULKLOAD_YES") or "0", None, None)
    except click.BadParameter as error:
        raise UsageError(f"BULKLOAD_YES: {error.message}") from None


def _can_ask(options: Options) -> bool:
    if options.json_ or options.quiet or options.log_format == "json":
        return False
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def _line() -> str:
    """The next line of the terminal; empty at its end. Waiting for it can be cancelled, so Ctrl-C works."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":  # its loop cannot wait for a terminal
        return await asyncio.to_thread(sys.stdin.readline)
    ready = loop.create_future()

    def on_readable() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sys.stdin.fileno(), on_readable)
    try:
        await ready
    finally:
        loop.remove_reader(sys.stdin.fileno())
    try:
        return sys.stdin.readline()
    except (OSError, UnicodeDecodeError):
        return ""
